import numpy as np
import pytest
import scipy.linalg
import torch

from dynaseg.core.whitening import NoiseStatistics, fit_whitening

CHANNELS, HEIGHT, WIDTH = 6, 9, 12


def make_images(number=4):
    """Features with noise of a covariance of their own over a signal in two halves; colours."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(CHANNELS, CHANNELS))
    images = []
    for _ in range(number):
        noise = mixing @ rng.normal(size=(CHANNELS, HEIGHT * WIDTH))
        features = noise.reshape(CHANNELS, HEIGHT, WIDTH)
        features[:, :, WIDTH // 2 :] += 5 * rng.normal(size=(CHANNELS, 1, 1))
        lab = np.zeros((3, HEIGHT, WIDTH))
        lab[0, :, WIDTH // 2 :] = 50
        lab += rng.normal(size=lab.shape)
        images.append((features, lab))
    return images


def measure(images, **options):
    statistics = NoiseStatistics(CHANNELS, **options)
    for features, lab in images:
        statistics.add(torch.from_numpy(features), torch.from_numpy(lab))
    return statistics


def noise_pair_by_pair(images, contrast):
    """The noise's covariance, literally: half the mean outer product of pairs that look alike."""
    total, number = np.zeros((CHANNELS, CHANNELS)), 0
    for features, lab in images:
        for row in range(HEIGHT):
            for column in range(WIDTH):
                for y, x in ((row + 1, column), (row, column + 1)):
                    if y == HEIGHT or x == WIDTH:
                        continue
                    if np.linalg.norm(lab[:, row, column] - lab[:, y, x]) >= contrast:
                        continue
                    step = features[:, row, column] - features[:, y, x]
                    total += np.outer(step, step)
                    number += 1
    return total / number / 2, number


def test_noise_is_that_of_neighbours_that_look_alike():
    images = make_images()
    statistics = measure(images, contrast=3.0)
    expected, number = noise_pair_by_pair(images, contrast=3.0)
    assert statistics.num_pairs == number
    assert number < 4 * (HEIGHT * (WIDTH - 1) + WIDTH * (HEIGHT - 1))
    np.testing.assert_allclose(statistics.noise.numpy(), expected, rtol=1e-10)


def test_places_that_are_drawn_have_the_moments_of_all():
    images = make_images(1)
    everything, drawn = (
        measure(images, contrast=3.0),
        measure(images * 400, contrast=3.0, max_places=30),
    )
    assert drawn.num_features == 400 * 30
    assert drawn.num_pairs == 400 * 2 * 30
    for name in ('mean', 'second_moment', 'noise'):
        expected = getattr(everything, name).numpy()
        error = np.abs(getattr(drawn, name).numpy() - expected).max()
        assert error < 0.05 * np.abs(expected).max(), name
    again = measure(images * 400, contrast=3.0, max_places=30)
    assert torch.equal(drawn.noise, again.noise)


def test_more_places_than_there_are_change_nothing():
    images = make_images()
    limited = measure(images, contrast=3.0, max_places=HEIGHT * WIDTH)
    assert torch.equal(limited.noise, measure(images, contrast=3.0).noise)


def test_moments_are_those_of_all_features():
    images = make_images()
    statistics = measure(images)
    flat = np.concatenate([features.reshape(CHANNELS, -1) for features, _ in images], axis=1)
    np.testing.assert_allclose(statistics.mean.numpy(), flat.mean(axis=1), rtol=1e-10)
    np.testing.assert_allclose(statistics.covariance.numpy(), np.cov(flat, bias=True), rtol=1e-8)


def test_components_are_those_of_the_generalised_eigenproblem():
    statistics = measure(make_images())
    transform = fit_whitening(statistics, components=CHANNELS, dimensions=4, ridge=0.3)
    noise = statistics.noise.numpy()
    noise = noise / (np.trace(noise) / CHANNELS) + 0.3 * np.eye(CHANNELS)
    values, vectors = scipy.linalg.eigh(statistics.covariance.numpy(), noise)
    expected = vectors[:, ::-1][:, :4].T
    matrix = transform.matrix.numpy()
    signs = np.sign((matrix * expected).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(matrix, signs * expected, rtol=1e-4, atol=1e-5)
    variances = matrix @ statistics.covariance.numpy() @ matrix.T
    np.testing.assert_allclose(variances, np.diag(values[::-1][:4]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('components', [CHANNELS, 4])
def test_noise_is_white_afterwards(components):
    statistics = measure(make_images())
    transform = fit_whitening(statistics, components, dimensions=components, ridge=0.0)
    matrix = transform.matrix.double()
    whitened = matrix @ statistics.noise @ matrix.T
    level = whitened.diagonal().mean()
    np.testing.assert_allclose((whitened / level).numpy(), np.eye(components), atol=1e-5)


def test_the_transform_takes_the_mean_away():
    images = make_images()
    transform = fit_whitening(measure(images), components=4, dimensions=3)
    flat = [torch.from_numpy(features).float().flatten(1).T for features, _ in images]
    whitened = transform(torch.cat(flat))
    assert whitened.shape == (4 * HEIGHT * WIDTH, 3)
    torch.testing.assert_close(whitened.mean(dim=0), torch.zeros(3), atol=1e-4, rtol=0)


def test_images_without_noise_are_refused():
    features = torch.zeros(CHANNELS, HEIGHT, WIDTH)
    statistics = NoiseStatistics(CHANNELS)
    statistics.add(features, torch.zeros(3, HEIGHT, WIDTH))
    with pytest.raises(ValueError, match=r'pairs of neighbours .* there is no noise to whiten'):
        fit_whitening(statistics, components=3, dimensions=2)


@pytest.mark.parametrize(('components', 'dimensions'), [(2, 3), (CHANNELS, CHANNELS + 1), (3, 0)])
def test_no_more_dimensions_than_components_or_channels(components, dimensions):
    features, lab = torch.rand(CHANNELS, HEIGHT, WIDTH), torch.zeros(3, HEIGHT, WIDTH)
    statistics = NoiseStatistics(CHANNELS)
    statistics.add(features, lab)
    with pytest.raises(ValueError, match=rf'dimensions must be from 1 to .*, got {dimensions}$'):
        fit_whitening(statistics, components, dimensions)
