import numpy as np
import pytest
import torch

from dynaseg.core import DynaSegLoss, Fitter, ResponseNetwork, estimate_num_clusters
from dynaseg.core.normalization import Normalization
from dynaseg.predictor import FittedPredictor


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
