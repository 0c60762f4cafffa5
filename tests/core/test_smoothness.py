import numpy as np
import pytest
import torch

from dynaseg.core.smoothness import SmoothnessLoss, closeness, discontinuity


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


def test_a_single_image_is_refused():
    with pytest.raises(ValueError, match='a batch of at least 2, got 1'):
        SmoothnessLoss()(*make_batch(images=1))
