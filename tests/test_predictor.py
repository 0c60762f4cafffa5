from dataclasses import replace

import numpy as np
import pytest
import torch

from dynaseg.core import DynaSegLoss, Fitter, ResponseNetwork, estimate_num_clusters
from dynaseg.core.channels import image_channels
from dynaseg.core.normalization import Normalization
from dynaseg.core.regions import PLAIN, build_hierarchy
from dynaseg.core.regions.cues import soft_labels
from dynaseg.predictor import (
    LABEL_DETAIL,
    FittedPredictor,
    RegionPredictor,
    make_region_predictor,
    start_seeds,
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return ResponseNetwork(channels=8, num_blocks=1)


def make_photo(height, width, seed=0):
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    return blocks.repeat(4, axis=0).repeat(4, axis=1)


def make_fitter(**settings):
    return Fitter(DynaSegLoss('fsf', reduction='none'), **{'iterations': 4, **settings})


def as_tensor(photo):
    return torch.from_numpy(photo).permute(2, 0, 1)[None]


def test_is_the_fitter_on_the_normalised_image(network):
    photo = make_photo(16, 24)
    (expected,) = make_fitter()(network, Normalization()(as_tensor(photo)), 2)
    (result,) = FittedPredictor(network, make_fitter(), min_clusters=2)([photo])
    assert isinstance(result.labels, np.ndarray)
    assert result.labels.dtype == np.int64
    assert np.array_equal(result.labels, expected.labels.numpy())
    assert result.fit.losses == expected.fit.losses
    assert result.fit.min_clusters == 2


def test_images_of_several_sizes_come_out_in_order_as_alone(network):
    photos = [make_photo(*size, seed) for seed, size in enumerate([(16, 24), (24, 16), (16, 24)])]
    predictor = FittedPredictor(network, make_fitter())
    together = predictor(photos)
    assert [one.labels.shape for one in together] == [(16, 24), (24, 16), (16, 24)]
    for photo, result in zip(photos, together, strict=True):
        (alone,) = predictor([photo])
        assert np.array_equal(alone.labels, result.labels)
        assert alone.fit.losses == pytest.approx(result.fit.losses, rel=1e-4)


def test_images_of_one_size_are_fitted_at_once(network, monkeypatch):
    fitter, batches = make_fitter(), []
    fit = Fitter.__call__

    def note(self, network, images, min_clusters):
        batches.append((tuple(images.shape), len(min_clusters)))
        return fit(self, network, images, min_clusters)

    monkeypatch.setattr(Fitter, '__call__', note)
    FittedPredictor(network, fitter)([make_photo(16, 24), make_photo(24, 16), make_photo(16, 24)])
    assert batches == [((2, 3, 16, 24), 2), ((1, 3, 24, 16), 1)]


def test_no_images_have_no_segmentations(network):
    assert FittedPredictor(network, make_fitter())([]) == []


def test_least_number_of_clusters_is_that_of_the_colours(network, monkeypatch):
    asked = []
    fit = Fitter.fit

    def note(self, networks, images, min_clusters):
        asked.extend(min_clusters)
        return fit(self, networks, images, min_clusters)

    monkeypatch.setattr(Fitter, 'fit', note)
    photos = [make_photo(24, 24, seed) for seed in range(3)]
    FittedPredictor(network, make_fitter(iterations=0), 'silhouette')(photos)
    assert asked == [estimate_num_clusters(photo)[0] for photo in photos]
    assert len(set(asked)) > 1


def test_normalization_of_ones_own(network):
    normalization = Normalization(mean=(0.0,) * 3, std=(255.0,) * 3)
    photo = make_photo(16, 24)
    (expected,) = make_fitter()(network, as_tensor(photo) / 255)
    (result,) = FittedPredictor(network, make_fitter(), normalization=normalization)([photo])
    assert result.fit.losses == pytest.approx(expected.fit.losses, rel=1e-4)


def test_network_is_left_unchanged(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    FittedPredictor(network, make_fitter())([make_photo(16, 24)])
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize('least', [0, -1, 2.5, 'elbow', None])
def test_unfit_numbers_of_clusters_are_refused(network, least):
    with pytest.raises(
        ValueError, match=f"min_clusters must be a positive integer or 'silhouette', got {least!r}"
    ):
        FittedPredictor(network, make_fitter(), least)


def make_region_networks(number=2):
    return [make_seeded(seed) for seed in range(number)]


def make_seeded(seed):
    torch.manual_seed(seed)
    return ResponseNetwork(in_channels=9, channels=8)


def assert_same_hierarchies(one, other):
    assert np.array_equal(one.leaves, other.leaves)
    assert np.array_equal(one.parents, other.parents)
    np.testing.assert_allclose(one.altitudes, other.altitudes, rtol=1e-5)


def test_regions_are_those_of_the_soft_labels_of_every_fit():
    photo, networks = make_photo(24, 36), make_region_networks(3)
    fitter = make_fitter(fit_pixels=100)
    (result,) = RegionPredictor(networks, fitter)([photo])
    channels = image_channels(photo)[None]
    fits = [fitter.fit(network, channels)[0] for network in networks]
    assert_same_hierarchies(
        result.hierarchy,
        build_hierarchy(photo, [soft_labels(fit.respond(channels)) for fit in fits]),
    )
    assert result.fit.losses == pytest.approx(fits[0].losses, rel=1e-4)
    assert result.regions is None


def test_clusters_are_made_of_whole_regions():
    (result,) = RegionPredictor(make_region_networks(), make_fitter())([make_photo(24, 36)])
    assert result.labels.shape == (24, 36)
    assert np.array_equal(np.unique(result.labels), np.arange(result.labels.max() + 1))
    regions = result.hierarchy.regions(LABEL_DETAIL)
    for region in np.unique(regions):
        assert len(np.unique(result.labels[regions == region])) == 1


def test_regions_of_images_of_several_sizes_come_out_in_order_as_alone():
    photos = [make_photo(*size, seed) for seed, size in enumerate([(16, 24), (24, 16), (16, 24)])]
    predictor = RegionPredictor(make_region_networks(), make_fitter())
    together = predictor(photos)
    assert [one.labels.shape for one in together] == [(16, 24), (24, 16), (16, 24)]
    for photo, result in zip(photos, together, strict=True):
        (alone,) = predictor([photo])
        assert_same_hierarchies(result.hierarchy, alone.hierarchy)
        assert np.array_equal(result.labels, alone.labels)


def test_features_of_ones_own_take_part_where_they_have_weights():
    photo = make_photo(24, 36)
    rng = np.random.default_rng(0)
    level = rng.normal(size=(5, 6, 9)).astype(np.float32)
    settings = replace(PLAIN, features=(2.0,))
    seen = []

    def features(image):
        seen.append(image)
        return [level]

    networks = make_region_networks()
    plain, other = (
        RegionPredictor(networks, make_fitter(), settings=one, features=two)([photo])[0].hierarchy
        for one, two in ((PLAIN, None), (settings, features))
    )
    assert np.array_equal(seen[0], photo)
    assert not np.array_equal(plain.altitudes, other.altitudes)


def test_images_are_fitted_in_inference_mode():
    photo = make_photo(20, 30)
    (expected,) = make_region_predictor(seed=5)([photo])
    with torch.inference_mode():
        (found,) = make_region_predictor(seed=5)([photo])
    assert_same_hierarchies(found.hierarchy, expected.hierarchy)


def test_no_networks_are_refused():
    with pytest.raises(ValueError, match='networks must be at least one, got none'):
        RegionPredictor([], make_fitter())


def test_predictor_for_photographs_does_not_depend_on_threads_or_draws():
    photo = make_photo(24, 36)
    torch.manual_seed(1)
    before = torch.rand(3)
    torch.manual_seed(1)
    first = make_region_predictor(seed=5)
    assert torch.equal(torch.rand(3), before)
    assert len(first.networks) == 4
    (one,), (other,) = first([photo]), make_region_predictor(seed=5)([photo])
    assert np.array_equal(one.hierarchy.altitudes, other.hierarchy.altitudes)
    (different,) = make_region_predictor(seed=6)([photo])
    assert not np.array_equal(one.hierarchy.altitudes, different.hierarchy.altitudes)
    message = r'seed must be an integer of at least 0 and below 2\^63, got -1'
    with pytest.raises(ValueError, match=message):
        make_region_predictor(seed=-1)


def test_seeds_of_several_starts_are_the_seed_and_others():
    assert start_seeds(0, 1) == [0]
    seeds = start_seeds(5, 4)
    assert seeds[0] == 5
    assert len(set(seeds)) == 4
    assert not set(start_seeds(6, 4)) & set(seeds)
