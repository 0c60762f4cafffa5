import numpy as np
import pytest
import torch
from scipy import ndimage

from dynaseg.core.channels import (
    image_channels,
    principal_channels,
    standardize,
    texture_channels,
)


def image_of(size=(40, 61), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


@pytest.mark.parametrize(('kind', 'count'), [('rgb', 3), ('texture', 9)])
def test_channels_are_standardized(kind, count):
    channels = image_channels(image_of(), kind)
    assert channels.shape == (count, 20, 30)
    assert channels.dtype == torch.float32
    torch.testing.assert_close(channels.mean(dim=(1, 2)), torch.zeros(count), atol=1e-3, rtol=0)
    assert (channels.std(dim=(1, 2)) > 0.8).all()


@pytest.mark.parametrize('kind', ['rgb', 'texture'])
def test_channels_are_the_same_of_bytes_and_floats(kind):
    image = image_of() // 8
    found = image_channels(image / 255, kind)
    torch.testing.assert_close(found, image_channels(image, kind), atol=1e-3, rtol=0)


def test_texture_is_the_formula():
    lab = np.random.default_rng(0).random((3, 40, 50)).astype(np.float32)

    def blur(values, sigma):
        return ndimage.gaussian_filter(values, sigma, truncate=3)

    light = lab[0].astype(float)
    octaves = [light, *(blur(light, sigma) for sigma in (1, 2, 4, 8))]
    expected = list(lab.astype(float))
    for k in range(4):
        energy = blur(np.abs(octaves[k] - octaves[k + 1]), 2 + 2 * k)
        expected.append(np.log(energy + 0.002))
    gx, gy = (ndimage.sobel(octaves[1], axis=axis) / 4 for axis in (1, 0))
    length = np.sqrt(gx**2 + gy**2)
    for part in (gx**2 - gy**2, 2 * gx * gy):
        expected.append(blur(part / length, 4) / (blur(length, 4) + 0.02))
    np.testing.assert_allclose(texture_channels(lab), expected, rtol=1e-3, atol=1e-4)


def test_flat_channels_are_not_blown_up():
    channels = np.float32([[[0.0, 2.0]], [[1.0, 1.0 + 1e-5]]])
    flat = np.float32([[-5e-6, 5e-6]]) / (5e-6 + 1e-3)
    np.testing.assert_allclose(
        standardize(channels), [np.float32([[-1, 1]]) / 1.001, flat], rtol=0.1
    )


def test_texture_tells_stripes_by_their_direction_and_width():
    y, x = np.mgrid[:80, :120]
    wave = np.where(x < 60, np.sin(y * 0.8), np.sin(x * 0.8))
    image = np.repeat((128 + 100 * wave)[..., None], 3, axis=2).astype(np.uint8)
    direction = image_channels(image)[7]
    assert direction[:, :25].max() < direction[:, 35:].min()


@pytest.mark.parametrize('size', [(1, 1), (1, 8), (9, 2)])
@pytest.mark.parametrize('kind', ['rgb', 'texture'])
def test_tiny_and_constant_images(size, kind):
    for image in (np.zeros((*size, 3), np.uint8), image_of(size)):
        assert image_channels(image, kind).isfinite().all()


def test_own_channels():
    own = np.arange(24.0).reshape(2, 3, 4)
    channels = image_channels(image_of(), own)
    assert channels.dtype == torch.float32
    np.testing.assert_array_equal(channels, own)


def test_unknown_channels():
    with pytest.raises(ValueError, match='kind must be one of'):
        image_channels(image_of(), 'depth')
    with pytest.raises(ValueError, match=r'an array \(C, h, w\), got one of shape \(3, 4\)'):
        image_channels(image_of(), np.zeros((3, 4)))


def test_principal_channels():
    rng = np.random.default_rng(0)
    level = np.tensordot(rng.normal(size=(5, 2)), rng.normal(size=(2, 8, 9)), 1).astype(np.float32)
    channels = principal_channels(level, 2, (8, 9))
    covariance = np.cov(channels.reshape(2, -1), bias=True)
    assert covariance[0, 0] > covariance[1, 1]
    assert abs(covariance[0, 1]) < 1e-4
    assert np.trace(covariance) / 2 == pytest.approx(1, rel=1e-4)
    assert principal_channels(level, 2, (16, 18)).shape == (2, 16, 18)
