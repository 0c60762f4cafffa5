import math

import numpy as np
import pytest
import torch

from dynaseg.core.losses import (
    DynaSegLoss,
    cluster_balance,
    count_clusters,
    dynamic_weight,
    feature_similarity,
    spatial_continuity,
)

STEPS = ((1, 0), (0, 1))
DIAGONAL_STEPS = (*STEPS, (1, 1), (1, -1))


def literal_loss(image, weighting, mu, penalty='l1', diagonal=False):
    """The formulas, pixel by pixel, for one image's response (q, H, W)."""
    channels, height, width = image.shape
    similarity, clusters = [], set()
    for y in range(height):
        for x in range(width):
            pixel = [float(image[channel, y, x]) for channel in range(channels)]
            label = max(range(channels), key=lambda channel: pixel[channel])
            clusters.add(label)
            similarity.append(math.log(sum(math.exp(value) for value in pixel)) - pixel[label])
    continuity = 0.0
    for down, right in DIAGONAL_STEPS if diagonal else STEPS:
        differences = []
        for y in range(height):
            for x in range(width):
                if y + down < height and 0 <= x + right < width:
                    for channel in range(channels):
                        size = abs(image[channel, y + down, x + right] - image[channel, y, x])
                        if penalty == 'huber':
                            size = 0.5 * size**2 if size < 1 else size - 0.5
                        differences.append(size)
        if differences:
            continuity += sum(differences) / len(differences)
    weight = {'fsf': len(clusters) / mu, 'scf': mu / len(clusters), 'fixed': mu}[weighting]
    return sum(similarity) / len(similarity), weight * continuity, weight, len(clusters)


@pytest.fixture
def response():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(3, 6, 5, 7, generator=generator, dtype=torch.float64)
    noise[1, :2] += 4  # the images differ in their numbers of clusters
    noise[2, 3] += 9
    return noise


@pytest.mark.parametrize('diagonal', [False, True])
@pytest.mark.parametrize('penalty', ['l1', 'huber'])
@pytest.mark.parametrize(('weighting', 'mu'), [('fsf', 15), ('scf', 50), ('fixed', 5)])
def test_equals_the_formulas_pixel_by_pixel(response, weighting, mu, penalty, diagonal):
    criterion = DynaSegLoss(weighting, penalty=penalty, diagonal=diagonal, reduction='none')
    parts = criterion(response)
    expected = np.array(
        [literal_loss(image, weighting, mu, penalty, diagonal) for image in response.numpy()]
    )
    names = ('loss_sim', 'loss_con', 'weight', 'num_clusters')
    actual = torch.stack([parts[name] for name in names], dim=1).numpy()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)
    mean = DynaSegLoss(weighting, penalty=penalty, diagonal=diagonal)(response)
    for column, name in enumerate(names):
        assert mean[name].item() == pytest.approx(expected[:, column].mean(), abs=1e-6)


def test_mu_of_ones_own(response):
    parts = DynaSegLoss('scf', mu=7, reduction='none')(response)
    expected = [literal_loss(image, 'scf', 7)[1] for image in response.numpy()]
    np.testing.assert_allclose(parts['loss_con'].numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize('settings', [{}, {'penalty': 'huber', 'diagonal': True}])
@pytest.mark.parametrize('weighting', ['fsf', 'scf', 'fixed'])
def test_gradcheck(response, weighting, settings):
    criterion = DynaSegLoss(weighting, **settings)

    def total(values):
        parts = criterion(values)
        return parts['loss_sim'] + parts['loss_con']

    assert torch.autograd.gradcheck(total, response[:2, :4, :3, :4].clone().requires_grad_())


@pytest.mark.parametrize('part', ['loss_sim', 'loss_con'])
def test_each_term_alone_trains_the_network(part):
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 6, 3)
    DynaSegLoss()(conv(torch.rand(2, 3, 8, 8)))[part].backward()
    assert conv.weight.grad.abs().min() > 0


def test_labels_and_weight_are_constants(response):
    parts = DynaSegLoss()(response.requires_grad_())
    assert parts['loss_sim'].requires_grad
    assert parts['loss_con'].requires_grad
    assert not parts['weight'].requires_grad
    assert not parts['num_clusters'].requires_grad


def test_an_image_does_not_depend_on_its_batch(response):
    criterion = DynaSegLoss('scf', reduction='none')
    together = criterion(response)
    for index in range(len(response)):
        alone = criterion(response[index : index + 1])
        for name, value in alone.items():
            torch.testing.assert_close(value[0], together[name][index], rtol=1e-12, atol=0)


def test_labels_may_be_given(response):
    labels = torch.zeros(3, 5, 7, dtype=torch.int64)
    parts = DynaSegLoss('fixed', reduction='none')(response, labels)
    expected = -response.log_softmax(dim=1)[:, 0].mean(dim=(1, 2))
    torch.testing.assert_close(parts['loss_sim'], expected)
    assert parts['num_clusters'].tolist() == [1, 1, 1]


def test_counts_as_unique_does():
    labels = torch.randint(0, 40, (6, 5, 9), generator=torch.Generator().manual_seed(1))
    labels[0] = 39
    expected = [len(torch.unique(image)) for image in labels]
    counts = count_clusters(labels, num_channels=40)
    assert counts.tolist() == expected
    assert counts.dtype == torch.int64


@pytest.mark.parametrize('shape', [(1, 6), (6, 1)])
@pytest.mark.parametrize('diagonal', [False, True])
def test_a_single_row_or_column(shape, diagonal):
    values = torch.tensor([0.0, 1.0, 3.0, 6.0, 10.0, 15.0]).view(1, 1, *shape).requires_grad_()
    continuity = spatial_continuity(values, diagonal=diagonal)
    assert continuity.tolist() == [3.0]  # the steps are 1, 2, 3, 4, 5
    parts = DynaSegLoss('scf', diagonal=diagonal)(values)
    (parts['loss_sim'] + parts['loss_con']).backward()
    assert torch.isfinite(values.grad).all()


def test_a_single_pixel_has_no_continuity():
    assert spatial_continuity(torch.ones(2, 3, 1, 1)).tolist() == [0, 0]


def test_similarity_by_hand():
    response = torch.tensor([[1.0, 2.0], [0.0, 2.0]]).view(1, 2, 1, 2)
    labels = response.argmax(dim=1)
    expected = (math.log(1 + math.exp(-1)) + math.log(2)) / 2
    assert feature_similarity(response, labels).item() == pytest.approx(expected, abs=1e-6)


def test_published_weights():
    clusters = torch.tensor([3, 30])
    assert dynamic_weight(clusters, 'fsf').tolist() == pytest.approx([0.2, 2.0])
    assert dynamic_weight(clusters, 'scf').tolist() == pytest.approx([50 / 3, 50 / 30])
    assert dynamic_weight(clusters, 'fixed').tolist() == [5, 5]


def test_vmap_over_images(response):
    criterion = DynaSegLoss('fsf', reduction='none')
    mapped = torch.func.vmap(lambda image: criterion(image[None]))(response)
    for name, value in criterion(response).items():
        torch.testing.assert_close(mapped[name][:, 0], value)


@pytest.mark.parametrize(
    ('argument', 'value'),
    [
        ('weighting', 'SCF'),
        ('penalty', 'l2'),
        ('reduction', 'sum'),
        ('count', 'epoch'),
        ('mu', 0),
        ('mu', -1.0),
        ('mu', '5'),
        ('balance', -1),
    ],
)
def test_bad_arguments_are_named(argument, value):
    with pytest.raises(ValueError, match=rf'{argument} must be .*got {value!r}'):
        DynaSegLoss(**{argument: value})


def test_bad_arguments_of_the_functions_are_named():
    with pytest.raises(ValueError, match=r"weighting must be one of .*'other'"):
        dynamic_weight(torch.tensor([1]), 'other')
    with pytest.raises(ValueError, match=r"penalty must be one of .*'other'"):
        spatial_continuity(torch.zeros(1, 1, 2, 2), 'other')


def test_balance_is_the_negative_entropy_of_the_mean_assignment():
    response = torch.randn(2, 5, 3, 4, dtype=torch.float64, requires_grad=True)
    shares = [0.0] * 5
    for image in response.detach():
        for row in range(3):
            for column in range(4):
                scores = [math.exp(value) for value in image[:, row, column]]
                for cluster, score in enumerate(scores):
                    shares[cluster] += score / sum(scores) / 24
    expected = sum(share * math.log(share) for share in shares)
    assert cluster_balance(response).item() == pytest.approx(expected, rel=1e-9)
    assert torch.autograd.gradcheck(cluster_balance, response)
    parts = DynaSegLoss('fsf', balance=3.0)(response)
    assert parts['loss_balance'].item() == pytest.approx(3 * expected)
    assert 'loss_balance' not in DynaSegLoss('fsf')(response)
    assert 'loss_balance' not in DynaSegLoss('fsf', balance=3.0).without_reduction()(response)
    with pytest.raises(ValueError, match='balance must be at least 0, got -1'):
        DynaSegLoss(balance=-1)


def labelled(*images):
    """Response maps whose argmax is the labels given, (N, 6, 1, W)."""
    return torch.nn.functional.one_hot(torch.tensor(images), 6).permute(0, 2, 1)[:, :, None] * 4.0


def test_clusters_may_be_counted_over_the_batch():
    response = labelled([0, 0, 1, 1], [2, 3, 4, 4])
    parts = DynaSegLoss('fsf', 10, reduction='none', count='batch')(response)
    assert parts['num_clusters'].tolist() == [5, 5]
    assert parts['weight'].tolist() == pytest.approx([0.5, 0.5])
    parts = DynaSegLoss('fsf', 10, reduction='none')(response)
    assert parts['num_clusters'].tolist() == [2, 3]


def test_clusters_may_be_counted_as_a_running_mean_of_the_training():
    criterion = DynaSegLoss('fsf', 10, count='running')
    first, second = labelled([0, 0, 1, 1], [2, 3, 4, 5]), labelled([0, 0, 0, 0], [1, 1, 1, 1])
    assert criterion(first)['num_clusters'].item() == pytest.approx(3)
    assert criterion(second)['num_clusters'].item() == pytest.approx(0.9 * 3 + 0.1 * 1)
    criterion.eval()
    for _ in range(2):  # an evaluation leaves it as it is
        assert criterion(first)['weight'].item() == pytest.approx(0.28)
    assert DynaSegLoss('fsf', 10, count='running').eval()(first)['num_clusters'].item() == 3
    assert criterion.without_reduction().count == 'image'
