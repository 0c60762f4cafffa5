import math

import numpy as np
import pytest
import torch

from dynaseg.core.losses import (
    DynaSegLoss,
    cluster_shares,
    count_clusters,
    dynamic_weight,
    feature_similarity,
    marginal_entropy,
    marked_cross_entropy,
    spatial_continuity,
)

NEIGHBOURS = ((1, 0), (0, 1))


def literal_loss(image, weighting, mu):
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
    for down, right in NEIGHBOURS:
        differences = []
        for y in range(height):
            for x in range(width):
                if y + down < height and x + right < width:
                    differences += [
                        abs(image[channel, y + down, x + right] - image[channel, y, x])
                        for channel in range(channels)
                    ]
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


@pytest.mark.parametrize(('weighting', 'mu'), [('fsf', 15), ('scf', 50), ('fixed', 5)])
def test_equals_the_formulas_pixel_by_pixel(response, weighting, mu):
    parts = DynaSegLoss(weighting, reduction='none')(response)
    expected = np.array([literal_loss(image, weighting, mu) for image in response.numpy()])
    names = ('loss_sim', 'loss_con', 'weight', 'num_clusters')
    actual = torch.stack([parts[name] for name in names], dim=1).numpy()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)
    mean = DynaSegLoss(weighting)(response)
    for column, name in enumerate(names):
        assert mean[name].item() == pytest.approx(expected[:, column].mean(), abs=1e-6)


def test_mu_of_ones_own(response):
    parts = DynaSegLoss('scf', mu=7, reduction='none')(response)
    expected = [literal_loss(image, 'scf', 7)[1] for image in response.numpy()]
    np.testing.assert_allclose(parts['loss_con'].numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize('entropy_weight', [0.0, 2.0])
@pytest.mark.parametrize('weighting', ['fsf', 'scf', 'fixed'])
def test_gradient_is_that_of_finite_differences(response, weighting, entropy_weight):
    criterion = DynaSegLoss(weighting, entropy_weight=entropy_weight)

    def total(values):
        return sum(value for name, value in criterion(values).items() if 'loss' in name)

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
def test_a_single_row_or_column(shape):
    values = torch.tensor([0.0, 1.0, 3.0, 6.0, 10.0, 15.0]).view(1, 1, *shape).requires_grad_()
    assert spatial_continuity(values).tolist() == [3.0]  # the steps are 1, 2, 3, 4, 5
    parts = DynaSegLoss('scf')(values)
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
        ('reduction', 'sum'),
        ('mu', 0),
        ('mu', -1.0),
        ('mu', '5'),
        ('entropy_weight', -1),
        ('entropy_weight', '2'),
    ],
)
def test_bad_arguments_are_named(argument, value):
    with pytest.raises(ValueError, match=rf'{argument} must be .*got {value!r}'):
        DynaSegLoss(**{argument: value})


def test_a_weighting_that_is_unknown_is_named():
    with pytest.raises(ValueError, match=r"weighting must be one of .*'other'"):
        dynamic_weight(torch.tensor([1]), 'other')


@pytest.mark.parametrize(
    'option', [{'penalty': 'huber'}, {'diagonal': True}, {'count': 'batch'}, {'balance': 1.0}]
)
def test_options_that_are_gone_are_refused(option):
    with pytest.raises(TypeError, match=next(iter(option))):
        DynaSegLoss(**option)


def test_entropy_is_that_of_the_mean_assignment():
    generator = torch.Generator().manual_seed(0)
    response = torch.randn(2, 5, 3, 4, generator=generator, dtype=torch.float64)
    shares = [0.0] * 5
    for image in response:
        for row in range(3):
            for column in range(4):
                scores = [math.exp(value) for value in image[:, row, column]]
                for cluster, score in enumerate(scores):
                    shares[cluster] += score / sum(scores) / 24
    expected = -sum(share * math.log(share) for share in shares)
    assert expected > 0
    assert marginal_entropy(response).item() == pytest.approx(expected, rel=1e-9)
    assert torch.autograd.gradcheck(marginal_entropy, response.requires_grad_())


def test_entropy_lies_between_one_cluster_and_all_alike():
    one = torch.zeros(2, 4, 3, 3)
    one[:, 2] = 200.0  # so sure that the others' shares are zero, in floating point too
    one.requires_grad_()
    entropy = marginal_entropy(one)
    assert entropy.item() == 0
    entropy.backward()
    assert torch.isfinite(one.grad).all()
    assert marginal_entropy(torch.zeros(2, 4, 3, 3)).item() == pytest.approx(math.log(4))


def test_entropy_is_maximised_where_it_has_a_weight(response):
    parts = DynaSegLoss('fsf', entropy_weight=3.0)(response)
    expected = -3.0 * marginal_entropy(response).item()
    assert expected < 0
    assert parts['loss_entropy'].item() == pytest.approx(expected)
    plain = DynaSegLoss('fsf')(response)
    assert 'loss_entropy' not in plain
    for name, value in plain.items():  # it stands beside the others
        assert torch.equal(value, parts[name])


def test_entropy_of_a_batch_takes_no_part_where_images_stand_alone(response):
    criterion = DynaSegLoss('fsf', mu=7, entropy_weight=3.0).without_reduction()
    assert (criterion.weighting, criterion.mu, criterion.reduction) == ('fsf', 7, 'none')
    assert 'loss_entropy' not in criterion(response)
    assert 'loss_entropy' not in DynaSegLoss(entropy_weight=3.0, reduction='none')(response)


def test_marked_cross_entropy_is_the_formula():
    generator = torch.Generator().manual_seed(0)
    response = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=generator)
    marks = torch.randint(-1, 3, (2, 4, 5), generator=generator)
    marks[1] = -1
    marks[1, 2, 3] = 2
    for image, value in enumerate(marked_cross_entropy(response, marks)):
        terms = [
            -math.log(
                math.exp(response[image, marks[image, y, x], y, x])
                / sum(math.exp(response[image, k, y, x]) for k in range(3))
            )
            for y in range(4)
            for x in range(5)
            if marks[image, y, x] >= 0
        ]
        assert float(value) == pytest.approx(sum(terms) / len(terms))


def test_shares_of_more_pixels_than_half_precision_counts():
    response = torch.zeros(1, 2, 300, 300, dtype=torch.float16)
    torch.testing.assert_close(cluster_shares(response), torch.tensor([0.5, 0.5]))


def test_marks_below_those_of_none_are_refused():
    with pytest.raises(ValueError, match='marks must be -1 to 2, got -2 to 1'):
        marked_cross_entropy(torch.zeros(1, 3, 1, 2), torch.tensor([[[-2, 1]]]))


def test_marked_cross_entropy_without_marks_is_nothing():
    response = torch.randn(1, 3, 4, 5, requires_grad=True)
    loss = marked_cross_entropy(response, torch.full((1, 4, 5), -1)).sum()
    assert loss == 0
    loss.backward()
    assert (response.grad == 0).all()
