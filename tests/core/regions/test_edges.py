import numpy as np
import torch
from scipy import ndimage

from dynaseg.core.regions.edges import find_edges
from dynaseg.core.regions.filters import differences, gradient_magnitude, lab_image


def test_gradient_is_that_of_the_formula():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, 9, 11)).astype(np.float32)
    total = np.zeros((9, 11))
    for channel in maps:
        smoothed = ndimage.gaussian_filter(channel.astype(float), 1.5, truncate=3)
        padded = np.pad(smoothed, 1, mode='edge')
        for y in range(9):
            for x in range(11):
                down = (padded[y + 2, x + 1] - padded[y, x + 1]) / 2
                right = (padded[y + 1, x + 2] - padded[y + 1, x]) / 2
                total[y, x] += down**2 + right**2
    np.testing.assert_allclose(gradient_magnitude(maps, 1.5), 1.5 * np.sqrt(total), rtol=1e-4)


def test_strength_is_that_of_the_formula():
    lab = 0.1 * np.random.default_rng(1).random((3, 12, 16)).astype(np.float32)
    lab[:, :, 9:] += 0.3
    fine, coarse = (np.minimum(5 * gradient_magnitude(lab, sigma), 1) for sigma in (1, 2))
    half = lab[1:].reshape(2, 6, 2, 8, 2).mean(axis=(2, 4))
    colour = np.minimum(10 * gradient_magnitude(half, 2), 1)
    colour = torch.nn.functional.interpolate(
        torch.from_numpy(colour)[None, None], (12, 16), mode='bilinear'
    )[0, 0].numpy()
    edges = find_edges(lab)
    np.testing.assert_allclose(edges.fine, fine, rtol=1e-5)
    np.testing.assert_allclose(edges.strength, fine + 0.5 * coarse + 0.25 * colour, rtol=1e-4)
    assert 0.1 < colour.min() < colour.max() == 1


def test_edges_are_where_colours_meet():
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, 15:] = 255
    edges = find_edges(lab_image(image))
    assert (edges.strength.argmax(axis=1) // 2 == 7).all()  # column 14 or 15
    assert edges.strength.max() <= 1.75
    assert edges.fine.max() == 1
    assert edges.strength[:, :3].max() < 1e-3


def test_colour_alone_makes_an_edge():
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, :15], image[:, 15:] = (200, 60, 60), (60, 128, 60)
    lab = lab_image(image)
    lab[0] = 0.5
    assert find_edges(lab).strength[:, 13:17].max() > 0.5


def test_one_pixel_wide_images():
    for size in ((1, 1), (1, 7), (7, 1)):
        assert find_edges(lab_image(np.zeros((*size, 3), np.uint8))).strength.shape == size
        assert differences(np.zeros((1, *size)))[0].shape == (1, *size)
