import numpy as np
import pytest
import torch

from dynaseg.core.smoothness import SmoothnessLoss, closeness, discontinuity, scarcity


def make_batch(images=3, clusters=4, size=(3, 4)):
    generator = torch.Generator().manual_seed(0)
    response = torch.randn(images, clusters, *size, generator=generator)
    features = torch.randn(images, 5, *size, generator=generator)
    return response, features


def pairs_literally(features, assignments, other_features, others, threshold):
    """The mean over pairs, one by one; features (P, C), assignments (P, K)."""
    total = 0
    for place, assignment in enumerate(assignments):
        cosines = [np.dot(features[place], one) for one in other_features]
        for cosine, other in zip(cosines, others, strict=True):
            alike = np.dot(assignment, other)
            alike = alike / np.linalg.norm(assignment) / np.linalg.norm(other)
            total += (cosine - np.mean(cosines) - threshold) * (1 - alike)
    return total / len(assignments) / len(others)


def test_loss_is_the_mean_over_pairs():
    response, features = make_batch()
    parts = SmoothnessLoss(within=-0.1, across=0.4, stride=1)(response, features)
    flat = features.flatten(2).transpose(1, 2)
    flat = (flat / flat.norm(dim=2, keepdim=True)).numpy()
    soft = response.softmax(dim=1).flatten(2).transpose(1, 2).numpy()
    for name, threshold, shift in (('within', -0.1, 0), ('across', 0.4, -1)):
        expected = np.mean(
            [
                pairs_literally(
                    flat[n], soft[n], flat[(n + shift) % 3], soft[(n + shift) % 3], threshold
                )
                for n in range(3)
            ]
        )
        assert parts[f'loss_{name}'].item() == pytest.approx(expected, rel=1e-4)
    counts = [len(one.unique()) for one in response.argmax(dim=1)]
    assert parts['num_clusters'].item() == pytest.approx(np.mean(counts))


def test_assignments_follow_the_features():
    """Two kinds of places become two clusters, from an assignment that hardly tells them apart."""
    generator = torch.Generator().manual_seed(0)
    kinds = torch.randint(2, (4, 6, 6), generator=generator)
    features = torch.eye(2)[kinds].permute(0, 3, 1, 2)
    features = features + 0.05 * torch.randn(features.shape, generator=generator)
    weight = (0.1 * torch.randn(3, 2, generator=generator)).requires_grad_()
    optimizer = torch.optim.Adam([weight], lr=0.05)
    torch.manual_seed(0)
    for _ in range(150):
        response = torch.einsum('kc,nchw->nkhw', weight, features)
        parts = SmoothnessLoss(stride=2)(response, features)
        optimizer.zero_grad()
        (parts['loss_within'] + parts['loss_across']).backward()
        optimizer.step()
    labels = response.argmax(dim=1)
    first, second = labels[kinds == 0].unique(), labels[kinds == 1].unique()
    assert len(first) == len(second) == 1
    assert first != second


def test_closeness_and_discontinuity_are_relative():
    generator = torch.Generator().manual_seed(0)
    features = torch.nn.functional.normalize(torch.randn(1, 4, 7, generator=generator), dim=1)
    torch.testing.assert_close(closeness(features, features).mean(dim=2), torch.zeros(1, 7))
    soft = torch.rand(1, 3, 7, generator=generator).softmax(dim=1)
    itself = discontinuity(soft, 2 * soft)[0].diagonal()
    torch.testing.assert_close(itself, torch.zeros(7), atol=1e-6, rtol=0)


def test_scarcity_counts_what_clusters_lack_and_asks_nothing_of_the_others():
    response, features = make_batch()
    response[:, 0] -= 9  # a cluster that hardly holds a pixel
    response = response.double().requires_grad_()
    shares = response.detach().softmax(dim=1).mean(dim=(0, 2, 3)).numpy()
    lacking = sum(1 - share / 0.2 for share in shares if share < 0.2)
    assert 0 < (shares < 0.2).sum() < len(shares)
    assert scarcity(response, 0.2).item() == pytest.approx(lacking)
    assert torch.autograd.gradcheck(lambda response: scarcity(response, 0.2), response)
    parts = SmoothnessLoss(least_share=0.2, scarcity_weight=3.0)(response, features.double())
    assert parts['loss_scarcity'].item() == pytest.approx(3 * lacking)
    assert 'loss_scarcity' not in SmoothnessLoss()(response, features.double())
    assert scarcity(torch.zeros(2, 4, 3, 3), 0.2) == 0


def test_a_scarce_cluster_grows():
    response, features = make_batch()
    response[:, 0] -= 5
    offset = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.Adam([offset], lr=0.1)
    for _ in range(100):
        shifted = response + offset[:, None, None]
        loss = SmoothnessLoss(least_share=0.1)(shifted, features)['loss_scarcity']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert shifted.softmax(dim=1).mean(dim=(0, 2, 3)).min() > 0.095


@pytest.mark.parametrize(
    'settings',
    [
        {'least_share': 1.0},
        {'least_share': -0.1},
        {'least_share': '1%'},
        {'scarcity_weight': -1.0},
        {'scarcity_weight': float('inf')},
    ],
)
def test_unfit_settings_are_named(settings):
    (name,) = settings
    with pytest.raises(ValueError, match=name):
        SmoothnessLoss(**settings)


def test_a_single_image_is_refused():
    with pytest.raises(ValueError, match='a batch of at least 2, got 1'):
        SmoothnessLoss()(*make_batch(images=1))
