import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dynaseg.core import DynaSegLoss, Fitter, LabelRefinement, ResponseNetwork


def make_network(channels=8, seed=0, in_channels=3):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 3, padding=1),
        nn.ReLU(),
        nn.BatchNorm2d(channels),
        nn.Conv2d(channels, channels, 1),
        nn.BatchNorm2d(channels),
    )


def make_images(number=1, size=(12, 18), seed=0, channels=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(number, channels, *size, generator=generator)


def make_fitter(weighting='scf', **settings):
    return Fitter(DynaSegLoss(weighting, reduction='none'), **settings)


def fit_literally(network, image, weighting, mu, steps):
    """The published procedure for one image, (1, C, H, W), one formula after another."""
    network = copy.deepcopy(network).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    counts, losses = [], []
    for step in range(steps + 1):
        response = network(image)
        labels = response.argmax(dim=1)
        count = labels.unique().numel()
        weight = {'fsf': count / mu, 'scf': mu / count, 'fixed': mu}[weighting]
        vertical = (response[:, :, 1:] - response[:, :, :-1]).abs().mean()
        horizontal = (response[:, :, :, 1:] - response[:, :, :, :-1]).abs().mean()
        loss = F.cross_entropy(response, labels) + weight * (vertical + horizontal)
        counts.append(count)
        losses.append(loss.item())
        if step < steps:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return labels[0].unique(return_inverse=True)[1], counts, losses


def assert_equal_results(one, other):
    assert torch.equal(one.labels, other.labels)
    assert one.fit.num_clusters == other.fit.num_clusters
    assert one.fit.losses == pytest.approx(other.fit.losses, rel=1e-4)
    assert (one.fit.iterations, one.fit.stop_reason) == (
        other.fit.iterations,
        other.fit.stop_reason,
    )


@pytest.mark.parametrize(('weighting', 'mu'), [('fsf', 15), ('scf', 50), ('fixed', 5)])
def test_agrees_with_a_literal_transcription(weighting, mu):
    network, images = make_network(), make_images()
    labels, counts, losses = fit_literally(network, images, weighting, mu, steps=6)
    (result,) = make_fitter(weighting, iterations=6)(network, images)
    assert torch.equal(result.labels, labels)
    assert result.fit.num_clusters == counts
    assert result.fit.losses == pytest.approx(losses, rel=1e-4)
    assert result.fit.iterations == 6


def test_image_does_not_depend_on_its_batch_or_its_place():
    network, images = make_network(), make_images(3)
    # Different numbers of clusters, so that the images leave the batch at different times.
    least = [8, 1, 5]
    fitter = make_fitter('fixed', iterations=12, check_interval=2)
    together = fitter(network, images, least)
    assert len({result.fit.iterations for result in together}) > 1
    backwards = fitter(network, images.flip(0), least[::-1])[::-1]
    for row, result in enumerate(together):
        assert_equal_results(result, backwards[row])
        assert_equal_results(result, fitter(network, images[row : row + 1], least[row])[0])


def test_networks_as_grouped_convolutions_agree_with_one_after_another(monkeypatch):
    network, images = make_network(), make_images(3)
    fitter = make_fitter(iterations=5)
    one_by_one = fitter(network, images)
    monkeypatch.setattr(torch.Tensor, 'is_cpu', False)  # the way of accelerators
    for together, alone in zip(fitter(network, images), one_by_one, strict=True):
        assert_equal_results(together, alone)


def test_networks_of_their_own_are_fitted_as_alone():
    networks = [make_network(seed=seed) for seed in range(3)]
    images, least = make_images(3), [8, 1, 5]
    fitter = make_fitter('fixed', iterations=12)
    together = fitter(networks, images, least)
    assert len({result.fit.iterations for result in together}) > 1
    for row, result in enumerate(together):
        assert_equal_results(result, fitter(networks[row], images[row : row + 1], least[row])[0])


def test_one_image_is_fitted_from_several_starts():
    networks = [make_network(seed=seed) for seed in range(3)]
    results = make_fitter(iterations=4)(networks, make_images().expand(3, -1, -1, -1))
    for network, result in zip(networks, results, strict=True):
        assert_equal_results(result, make_fitter(iterations=4)(network, make_images())[0])
    assert len({result.fit.losses[-1] for result in results}) == 3


@pytest.mark.parametrize('channels', [1, 4, 9])
def test_images_of_other_than_three_channels(channels):
    network = make_network(in_channels=channels)
    images = make_images(2, channels=channels)
    settings = {'iterations': 4, 'predict_scale': 2.0, 'predict_pixels': 12 * 18}
    results = make_fitter(**settings)(network, images)
    for image, result in zip(images.split(1), results, strict=True):
        labels, counts, losses = fit_literally(network, image, 'scf', 50, steps=4)
        assert result.fit.losses == pytest.approx(losses, rel=1e-4)
        assert result.fit.num_clusters == counts
        assert torch.equal(result.labels, labels)


def test_fit_responds_to_its_image_and_at_other_sizes():
    network, images = make_network(), make_images(2)
    (_, result) = make_fitter(iterations=4)(network, images)
    response = result.fit.respond(images[1:])
    assert response.shape == (1, 8, 12, 18)
    assert not response.requires_grad
    assert torch.equal(response.argmax(1)[0].unique(return_inverse=True)[1], result.labels)
    larger = F.interpolate(images[1:], (17, 31), mode='bicubic')
    response = result.fit.respond(larger)
    assert response.shape == (1, 8, 17, 31)
    with torch.no_grad():
        trained = copy.deepcopy(network).train()  # by the statistics of what it sees
        trained.load_state_dict(
            trained.state_dict() | {name: value[0] for name, value in result.fit.weights.items()}
        )
        torch.testing.assert_close(response, trained(larger), rtol=1e-4, atol=1e-4)


def test_fits_where_gradients_are_off():
    expected = make_fitter(iterations=3)(make_network(), make_images())[0]
    with torch.no_grad():
        assert_equal_results(make_fitter(iterations=3)(make_network(), make_images())[0], expected)


def test_same_start_gives_the_same_result_and_another_one_does_not():
    images = make_images()
    first, again, other = (
        make_fitter(iterations=4)(make_network(seed=seed), images)[0] for seed in (0, 0, 1)
    )
    assert torch.equal(first.labels, again.labels)
    assert first.fit.losses == again.fit.losses != other.fit.losses


def test_weights_that_the_response_does_not_use_stay():
    class Larger(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = make_network(), nn.Conv2d(8, 8, 1)

        def forward(self, img):
            return self.used(img)

    fitter = make_fitter(iterations=3)
    (result,), (alone,) = (fitter(one, make_images()) for one in (Larger(), make_network()))
    assert_equal_results(result, alone)


@pytest.mark.parametrize('training', [True, False])
def test_network_is_left_unchanged(training):
    network = make_network().train(training)
    before = copy.deepcopy(network.state_dict())
    make_fitter(iterations=3)(network, make_images(2))
    assert network.training is training
    assert all(parameter.requires_grad for parameter in network.parameters())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_running_statistics_take_no_part():
    network, images = make_network(), make_images()
    expected = make_fitter(iterations=3)(network, images)[0]
    network[2].running_mean += 7
    network[4].running_var *= 9
    assert_equal_results(make_fitter(iterations=3)(network, images)[0], expected)


def test_frozen_weights_stay():
    network, images = make_network(), make_images()
    network.requires_grad_(False)
    network[0].requires_grad_(True)
    result = make_fitter(iterations=5)(network, images)[0]
    thawed = make_fitter(iterations=5)(network.requires_grad_(True), images)[0]
    assert result.fit.losses[0] == pytest.approx(thawed.fit.losses[0])
    assert result.fit.losses[-1] > thawed.fit.losses[-1]


@pytest.mark.parametrize('check_interval', [1, 3, 100])
def test_min_clusters_end_the_fit_before_the_step_that_would_leave_fewer(check_interval):
    network, images = make_network(), make_images()
    free = make_fitter('fixed', iterations=30)(network, images)[0]
    least = free.fit.num_clusters[-1] + 1
    crossing = next(step for step, count in enumerate(free.fit.num_clusters) if count < least)
    result = make_fitter('fixed', iterations=30, check_interval=check_interval)(
        network, images, least
    )[0]
    assert result.fit.stop_reason == 'min_clusters'
    assert result.fit.iterations == crossing - 1
    assert result.fit.num_clusters == free.fit.num_clusters[:crossing]
    before = make_fitter('fixed', iterations=crossing - 1)(network, images)[0]
    assert torch.equal(result.labels, before.labels)
    assert result.labels.unique().numel() >= least


def test_min_clusters_above_the_first_count_keep_the_first_count():
    result = make_fitter('fixed', iterations=30)(make_network(), make_images(), min_clusters=100)[0]
    assert min(result.fit.num_clusters) == result.fit.num_clusters[0]
    assert result.labels.unique().numel() == result.fit.num_clusters[0]


def test_min_clusters_hold_after_cleaning_up_and_enlarging():
    image = torch.zeros(1, 3, 40, 60)
    image[..., 30:] = 1.0
    image[..., 18:22, 10:14] = -1.0  # below the smallest region
    network = make_network()
    least = 3
    settings = {'iterations': 10, 'fit_pixels': 600, 'min_region': 0.1}
    result = make_fitter('fixed', **settings)(network, image, least)[0]
    assert result.labels.shape == (40, 60)
    assert result.labels.unique().numel() >= min(least, result.fit.num_clusters[0])


def test_min_clusters_hold_where_prediction_is_smaller_than_the_fit():
    network, images = make_network(), make_images(size=(24, 36))
    settings = {'iterations': 0, 'fit_pixels': 24 * 36, 'predict_pixels': 6}
    result = make_fitter(**settings)(network, images, min_clusters=100)[0]
    assert len(result.labels.unique()) == result.fit.num_clusters[0] > 6


def test_labels_are_refined_at_the_size_of_prediction_and_then_enlarged():
    network, images = make_network(), make_images(size=(24, 36))
    settings = {'iterations': 4, 'fit_pixels': 12 * 18, 'predict_pixels': 12 * 18}
    plain = make_fitter(**settings)(network, images)[0].labels
    refinement = LabelRefinement(radius=2)
    refined = make_fitter(**settings, refinement=refinement)(network, images)[0].labels
    small = F.interpolate(images, (12, 18), mode='area')
    expected = refinement(plain[None, ::2, ::2], small)[0].unique(return_inverse=True)[1]
    assert torch.equal(refined, expected.repeat_interleave(2, 0).repeat_interleave(2, 1))
    assert not torch.equal(refined, plain)


def test_min_clusters_hold_after_refining():
    settings = {'iterations': 0, 'refinement': LabelRefinement(radius=12, rounds=5)}
    count = make_fitter(iterations=0)(make_network(), make_images())[0].fit.num_clusters[0]
    for least in (1, count):
        result = make_fitter(**settings)(make_network(), make_images(), least)[0]
        assert (len(result.labels.unique()) == count) == (least == count)


def test_labels_that_converge_end_the_fit():
    images = F.interpolate(make_images(size=(2, 3)), scale_factor=6)  # six flat patches
    fitter = make_fitter(iterations=200, tol=0.0, check_interval=5)
    result = fitter(make_network(), images)[0]
    assert result.fit.stop_reason == 'converged'
    assert result.fit.iterations < 200
    assert result.fit.iterations % 5 == 0
    earlier = make_fitter(iterations=result.fit.iterations - 5)(make_network(), images)[0]
    assert torch.equal(result.labels, earlier.labels)
    assert earlier.fit.stop_reason == 'iterations'


def test_labels_are_numbered_without_gaps_at_the_size_of_the_image():
    network = nn.Sequential(nn.Conv2d(3, 20, 3, stride=4, padding=1), nn.BatchNorm2d(20))
    result = make_fitter(iterations=2)(network, make_images(size=(21, 34)))[0]
    assert result.labels.shape == (21, 34)
    assert result.labels.dtype == torch.int64
    assert result.labels.unique().tolist() == list(range(int(result.labels.max()) + 1))


def test_fit_at_reduced_size_sees_the_image_at_that_size():
    network, images = make_network(), make_images(size=(24, 36))
    small = F.interpolate(images, (12, 18), mode='area')
    reduced = make_fitter(iterations=4, fit_pixels=12 * 18)(network, images)[0]
    assert reduced.fit.losses == pytest.approx(
        make_fitter(iterations=4)(network, small)[0].fit.losses
    )
    bounded = make_fitter(iterations=4, fit_pixels=216, predict_pixels=216)(network, images)[0]
    coarse = make_fitter(iterations=4)(network, small)[0].labels
    assert torch.equal(bounded.labels, coarse.repeat_interleave(2, 0).repeat_interleave(2, 1))


def test_prediction_sees_the_image_enlarged():
    network, images = make_network(), make_images(size=(12, 18))
    plain = make_fitter(iterations=4)(network, images)[0]
    seen = []
    network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[2:]))
    larger = make_fitter(iterations=4, predict_scale=2.0)(network, images)[0]
    assert seen[-1] == (24, 36)
    assert larger.labels.shape == (12, 18)
    assert larger.fit.losses == plain.fit.losses
    # A bound on the pixels limits the enlargement, and does not become one.
    for bound, expected in [(12 * 18 * 9 / 4, (18, 27)), (12 * 18, (12, 18)), (54, (6, 9))]:
        make_fitter(iterations=1, predict_scale=2.0, predict_pixels=bound)(network, images)
        assert seen[-1] == expected


def test_bfloat16_stays_close(monkeypatch):
    monkeypatch.setattr('dynaseg.core.networks.has_bf16', lambda device_type: True)
    network, images = make_network(), make_images()
    exact, rounded = (
        make_fitter(iterations=3, bf16=bf16)(network, images)[0] for bf16 in (False, True)
    )
    assert rounded.fit.losses == pytest.approx(exact.fit.losses, rel=0.05)
    assert rounded.fit.losses != exact.fit.losses
    assert (rounded.labels == exact.labels).float().mean() > 0.8


@pytest.mark.parametrize('size', [(1, 9), (9, 1), (1, 1), (2, 2)])
def test_tiny_images(size):
    result = make_fitter(iterations=3)(make_network(), make_images(size=size), min_clusters=2)[0]
    assert result.labels.shape == size
    assert result.labels.min() == 0
    assert result.fit.respond(make_images(size=size)).shape == (1, 8, *size)


def test_a_single_pixel_has_one_cluster_and_finite_losses():
    (result,) = make_fitter(iterations=3, predict_scale=2.0)(
        make_network(), make_images(size=(1, 1))
    )
    assert result.labels.tolist() == [[0]]
    assert torch.isfinite(torch.tensor(result.fit.losses)).all()
    assert torch.isfinite(result.fit.respond(make_images(size=(1, 1)))).all()


def test_constant_image():
    result = make_fitter(iterations=3, fit_pixels=50)(make_network(), torch.ones(1, 3, 10, 12))[0]
    assert torch.isfinite(torch.tensor(result.fit.losses)).all()
    assert result.labels.shape == (10, 12)


def test_zero_iterations_label_as_the_network_does():
    network, images = make_network().train(), make_images()
    expected = network(images).argmax(1)[0].unique(return_inverse=True)[1]
    result = make_fitter(iterations=0)(network, images)[0]
    assert torch.equal(result.labels, expected)
    assert (result.fit.iterations, len(result.fit.losses)) == (0, 1)


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('iterations', -1),
        ('iterations', 2.5),
        ('iterations', 4.0),
        ('lr', 0),
        ('momentum', 1.0),
        ('fit_pixels', 0),
        ('predict_scale', 0.5),
        ('predict_scale', math.inf),
        ('predict_pixels', -5),
        ('tol', 1.5),
        ('tol', '0.1'),
        ('check_interval', 0),
        ('check_interval', 2.5),
        ('min_region', 1.0),
        ('marks_weight', -1),
        ('marks_weight', math.nan),
    ],
)
def test_setting_out_of_range_is_an_error_that_names_it(name, value):
    with pytest.raises(ValueError, match=rf'{name} must (be|lie) .*got {value!r}'):
        make_fitter(**{name: value})


def test_loss_over_a_batch_is_refused():
    with pytest.raises(ValueError, match="loss must have reduction 'none', got 'mean'"):
        Fitter(DynaSegLoss())


@pytest.mark.parametrize('shape', [(3, 12, 18), (0, 3, 8, 8), (1, 3, 0, 8), (1, 1, 3, 8, 8)])
def test_wrong_images_are_refused(shape):
    with pytest.raises(ValueError, match=r'images must be \(N, C, H, W\), got \('):
        make_fitter()(make_network(), torch.zeros(shape))


def test_as_many_networks_and_numbers_as_images_are_expected():
    with pytest.raises(ValueError, match='expected 2 min_clusters, one per image, got 3'):
        make_fitter()(make_network(), make_images(2), [1, 2, 3])
    with pytest.raises(ValueError, match='expected 2 networks, one per image, got 1'):
        make_fitter()([make_network()], make_images(2))


@pytest.mark.parametrize('least', [0, 2.5, [1, -3]])
def test_min_clusters_must_be_positive_integers(least):
    with pytest.raises(ValueError, match='min_clusters must be positive integers, got'):
        make_fitter()(make_network(), make_images(2), least)


def test_marked_pixels_get_their_labels():
    images = 0.2 * torch.rand(2, 3, 12, 18, generator=torch.Generator().manual_seed(0))
    images[..., 9:] += 1.0
    marks = torch.full((2, 24, 36), -1)
    marks[0, 4:8, 4:8], marks[0, 16:20, 26:32] = 5, 3
    marks[1, 4:8, 4:8], marks[1, 16:20, 26:32] = 3, 5
    fitter = make_fitter(iterations=60, marks_weight=2.0)
    for row, fit in enumerate(fitter.fit(make_network(), images, marks=marks)):
        labels = fit.respond(images[row : row + 1]).argmax(dim=1)[0]
        small = marks[row, ::2, ::2]
        for label in (3, 5):
            assert (labels[small == label] == label).float().mean() > 0.8


def test_marks_of_another_number_of_images_are_refused():
    with pytest.raises(ValueError, match=r'marks must be \(2, H, W\)'):
        make_fitter().fit(make_network(), torch.rand(2, 3, 8, 8), marks=torch.zeros(1, 8, 8).long())


def test_marks_that_no_channel_stands_for_are_refused():
    marks = torch.full((1, 8, 8), 8)
    with pytest.raises(ValueError, match='marks must be -1 to 7, got 8 to 8'):
        make_fitter().fit(make_network(channels=8), torch.rand(1, 3, 8, 8), marks=marks)


def test_a_fit_whose_loss_is_not_finite_ends_and_says_where():
    images = torch.rand(1, 3, 8, 8)
    with pytest.raises(FloatingPointError, match=r'loss (nan|inf) after 1 steps: .*not finite: '):
        Fitter(iterations=5, lr=1e38)(ResponseNetwork(channels=4), images)
    with pytest.raises(FloatingPointError, match=r'loss nan after 0 steps: .* still finite'):
        Fitter(iterations=5)(ResponseNetwork(channels=4), images * torch.nan)
    with pytest.raises(ValueError, match='lr must be positive and finite, got inf'):
        Fitter(lr=float('inf'))
