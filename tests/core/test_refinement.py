import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch.nn.functional import avg_pool2d, interpolate, one_hot

from dynaseg.core.refinement import (
    GuidedFilter,
    LabelRefinement,
    ProbabilityRefinement,
    box_mean,
    keep_labels,
)


def filter_literally(guide, values, radius, eps):
    """He et al., TPAMI 2013, equations 14 to 16, window by window: a ridge regression in each."""
    height, width = values.shape
    sums, counts = np.zeros(values.shape), np.zeros(values.shape)
    for y in range(height):
        for x in range(width):
            window = (
                slice(max(0, y - radius), y + radius + 1),
                slice(max(0, x - radius), x + radius + 1),
            )
            colours, targets = guide[window].reshape(-1, 3), values[window].ravel()
            ridge = Ridge(alpha=eps * len(targets)).fit(colours, targets)
            sums[window] += ridge.predict(colours).reshape(values[window].shape)
            counts[window] += 1
    return sums / counts


def make_scene(seed=0, size=(24, 36), noise=0.05):
    """An image of four patches, (1, 3, H, W), and which patch a pixel is in, (1, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.arange(4).reshape(2, 2)
    truth = truth.repeat_interleave(size[0] // 2, 0).repeat_interleave(size[1] // 2, 1)
    colours = torch.rand(4, 3, generator=generator)
    image = colours[truth] + noise * torch.randn(*size, 3, generator=generator)
    return image.permute(2, 0, 1)[None], truth[None]


def add_specks(labels, share, num_labels, seed=0):
    generator = torch.Generator().manual_seed(seed)
    wrong = torch.rand(labels.shape, generator=generator) < share
    return torch.where(wrong, torch.randint(num_labels, labels.shape, generator=generator), labels)


@pytest.mark.parametrize(('radius', 'eps'), [(1, 0.1), (2, 0.01), (20, 0.01)])
def test_filter_is_the_mean_of_ridge_regressions(radius, eps):
    generator = torch.Generator().manual_seed(0)
    guide = torch.rand(1, 3, 7, 10, generator=generator)
    maps = torch.rand(1, 2, 7, 10, generator=generator)
    filtered = GuidedFilter(guide, radius, eps)(maps)
    for values, result in zip(maps[0], filtered[0], strict=True):
        expected = filter_literally(guide[0].permute(1, 2, 0).numpy(), values.numpy(), radius, eps)
        np.testing.assert_allclose(result.numpy(), expected, atol=2e-5)


def test_grey_guides_do_not_cancel_out():
    # Without enough digits the inverse of the channels' covariance, which is singular but for eps,
    # would be noise: a bright spot on black is enough for it.
    grey = torch.zeros(1, 1, 60, 80)
    grey[..., 20:30, 30:40] = 15.0
    guide = grey.expand(1, 3, 60, 80).contiguous()
    values = (torch.rand(1, 1, 60, 80, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    for eps in (1e-2, 1e-4):
        exact = GuidedFilter(guide.double(), 4, eps)(values.double())
        filtered = GuidedFilter(guide, 4, eps)(values)
        torch.testing.assert_close(filtered.double(), exact, atol=1e-3, rtol=0)


@pytest.mark.parametrize('size', [(48, 72), (47, 70)])
def test_the_subsampled_filter_is_close_and_has_the_edges_of_the_guide(size):
    guide, truth = make_scene(size=(48, 72))
    guide, truth = guide[..., : size[0], : size[1]], truth[:, : size[0], : size[1]]
    moved = truth[:, :, (torch.arange(size[1]) - 3).clamp(min=0)]
    maps = avg_pool2d(one_hot(moved, 4).permute(0, 3, 1, 2).float(), 9, 1, 4)
    exact = GuidedFilter(guide, 8, 0.01)(maps)
    fast = GuidedFilter(guide, 8, 0.01, subsample=4)(maps)
    assert fast.shape == exact.shape
    assert (fast - exact).abs().mean() < 0.03
    assert (maps.argmax(dim=1) == truth).float().mean() < 0.97
    assert (fast.argmax(dim=1) == truth).float().mean() > 0.99


@pytest.mark.parametrize('radius', [1, 2, 3, 6, 7, 16, 40])
@pytest.mark.parametrize('size', [(1, 1), (1, 9), (20, 35)])
def test_windows_are_averaged_as_pooling_does(size, radius):
    maps = torch.randn(2, 3, *size, dtype=torch.float64)
    expected = maps
    for kernel, padding in (
        ((1, 2 * radius + 1), (0, radius)),
        ((2 * radius + 1, 1), (radius, 0)),
    ):
        expected = avg_pool2d(expected, kernel, 1, padding, count_include_pad=False)
    torch.testing.assert_close(box_mean(maps, radius), expected)


def test_refined_label_has_the_highest_filtered_indicator():
    image, truth = make_scene()
    labels = add_specks(truth, 0.7, num_labels=11)  # more than are filtered at once
    guide = image - image.mean(dim=(2, 3), keepdim=True)
    guide = guide / guide.square().mean().sqrt()
    indicators = one_hot(labels, 11).permute(0, 3, 1, 2).float()
    expected = GuidedFilter(guide, 3, 0.02)(indicators).argmax(dim=1)
    refined = LabelRefinement(radius=3, eps=0.02)(labels, image)
    assert torch.equal(refined, expected)
    twice = LabelRefinement(radius=3, eps=0.02)(refined, image)
    assert not torch.equal(twice, refined)
    assert torch.equal(LabelRefinement(radius=3, eps=0.02, rounds=2)(labels, image), twice)


def test_borders_move_to_the_edges_and_specks_go():
    image, truth = make_scene()
    labels = add_specks(truth.roll((1, 2), (1, 2)), 0.1, num_labels=4)
    refined = LabelRefinement(radius=4, eps=0.01, rounds=3)(labels, image)
    assert (labels != truth).float().mean() > 0.2
    assert (refined != truth).float().mean() < 0.02


def test_names_of_labels_and_scale_of_values_do_not_matter():
    image, truth = make_scene()
    labels = add_specks(truth, 0.2, num_labels=4)
    refinement = LabelRefinement(radius=2)
    refined = refinement(labels, image)
    names = torch.tensor([40, 7, 0, 13])
    assert torch.equal(refinement(names[labels], image), names[refined])
    for factor in (50, 1e-3):
        assert torch.equal(refinement(labels, factor * (image - 0.2)), refined)


def test_labels_that_are_to_stay_stay():
    image, truth = make_scene()
    labels = truth.clone()
    labels[0, 3, 3] = 9
    refinement = LabelRefinement(rounds=3)
    assert 9 not in refinement(labels, image).unique()
    assert torch.equal(refinement(labels, image, min_labels=5), labels)
    assert torch.equal(refinement(labels, image, min_labels=4), refinement(labels, image))


def test_image_without_an_edge_and_image_of_one_pixel_are_left_alone():
    labels = torch.arange(12).reshape(1, 3, 4)
    assert torch.equal(LabelRefinement()(labels, torch.ones(1, 3, 3, 4)), labels)
    assert LabelRefinement()(torch.tensor([[[5]]]), torch.rand(1, 3, 1, 1)).tolist() == [[[5]]]


def test_refined_probabilities_are_filtered_image_by_image():
    images = torch.cat([make_scene(seed)[0] for seed in range(2)])
    responses = torch.randn(2, 11, 24, 36, generator=torch.Generator().manual_seed(0))
    probabilities = responses.softmax(dim=1)  # more labels than are filtered at once
    refined = ProbabilityRefinement(radius=3, eps=0.02)(probabilities, 50 * images - 8)
    for image, before, after in zip(images, probabilities, refined, strict=True):
        guide = image - image.mean(dim=(1, 2), keepdim=True)
        guide = guide / guide.square().mean().sqrt()
        expected = GuidedFilter(guide[None], 3, 0.02)(before[None])[0]
        torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(refined.sum(dim=1), torch.ones(2, 24, 36))


def test_outlines_of_coarse_probabilities_become_those_of_the_image():
    image, truth = make_scene()
    indicators = one_hot(truth, 4).permute(0, 3, 1, 2).float()
    coarse = avg_pool2d(indicators.roll((2, 3), (2, 3)), 6)
    coarse = interpolate(coarse, truth.shape[1:], mode='bilinear')
    refined = ProbabilityRefinement(radius=4)(coarse, image)
    assert (coarse.argmax(dim=1) != truth).float().mean() > 0.1
    assert (refined.argmax(dim=1) != truth).float().mean() < 0.05


def test_probabilities_of_an_image_without_an_edge_are_left_alone():
    probabilities = torch.rand(1, 2, 3, 4)
    assert torch.equal(
        ProbabilityRefinement()(probabilities, torch.ones(1, 3, 3, 4)), probabilities
    )


@pytest.mark.parametrize(('name', 'value'), [('radius', 0), ('eps', -1.0)])
def test_setting_of_probabilities_out_of_range_is_an_error_that_names_it(name, value):
    with pytest.raises(ValueError, match=f'{name} must be .* got {value}'):
        ProbabilityRefinement(**{name: value})


@pytest.mark.parametrize(('name', 'value'), [('radius', 0), ('eps', 0.0), ('rounds', 0)])
def test_setting_out_of_range_is_an_error_that_names_it(name, value):
    with pytest.raises(ValueError, match=f'{name} must be .* got {value}'):
        LabelRefinement(**{name: value})


@pytest.mark.parametrize('seed', range(4))
def test_kept_labels_are_all_that_were_there(seed):
    generator = torch.Generator().manual_seed(seed)
    before, refined = (
        torch.randn(2, 12, 5, 8, generator=generator).softmax(dim=1) for _ in range(2)
    )
    kept = keep_labels(refined, before)
    for image in range(2):
        one, other, found = (maps[image].argmax(dim=0) for maps in (before, refined, kept))
        assert set(one.unique().tolist()) <= set(found.unique().tolist())
        is_kept = (kept[image] != refined[image]).any(dim=0)
        assert torch.equal(kept[image][:, is_kept], before[image][:, is_kept])
        lost = set(one.unique().tolist()) - set(other.unique().tolist())
        assert lost <= set(one[is_kept].unique().tolist())
    assert torch.equal(keep_labels(before, before), before)


def test_what_is_restored_takes_no_other_label_in_turn():
    before = torch.eye(3)[None, :, None]  # labels 0, 1, 2
    refined = torch.eye(3)[[2, 2, 0]].T[None, :, None]  # 2, 2, 0: of which 0 is where 2 was
    assert keep_labels(refined, before).argmax(dim=1).flatten().tolist() == [2, 1, 0]
    refined = torch.eye(3)[[1, 0, 0]].T[None, :, None]  # 1, 0, 0: 2 takes a 0, then 1, 0 stay
    assert keep_labels(refined, before).argmax(dim=1).flatten().tolist() == [1, 0, 2]
    refined = torch.eye(3)[[2, 0, 2]].T[None, :, None]  # 1 comes back in place of the last 0
    assert keep_labels(refined, before).argmax(dim=1).flatten().tolist() == [0, 1, 2]
