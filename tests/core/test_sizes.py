import pytest
import torch

from dynaseg.core.sizes import enlarge, enlarge_labels, limit_size, resize_maps


def test_images_shrink_to_a_number_of_pixels_and_keep_their_mean():
    images = torch.rand(2, 3, 40, 60)
    small = limit_size(images, 600)
    assert small.shape == (2, 3, 20, 30)
    torch.testing.assert_close(small.mean(dim=(2, 3)), images.mean(dim=(2, 3)))
    assert limit_size(images, 2400) is images
    assert limit_size(images, None) is images
    assert limit_size(torch.rand(1, 3, 1, 900), 100).shape == (1, 3, 1, 100)


@pytest.mark.parametrize(
    ('scale', 'pixels', 'size'),
    [
        (1.5, None, (30, 45)),
        (2.0, 10000, (40, 60)),
        (2.0, 1350, (30, 45)),
        (2.0, 100, (20, 30)),
        (1.0, None, (20, 30)),
    ],
)
def test_images_are_enlarged_as_far_as_pixels_go(scale, pixels, size):
    assert enlarge(torch.rand(1, 3, 20, 30), scale, pixels).shape == (1, 3, *size)


def test_maps_are_averaged_where_they_shrink():
    stripes = torch.tensor([0.0, 1.0]).repeat(16).expand(1, 1, 8, 32)
    shrunk = resize_maps(stripes, (8, 8))[..., 1:-1]
    torch.testing.assert_close(shrunk, torch.full_like(shrunk, 0.5), rtol=0, atol=0.02)
    assert resize_maps(stripes, (8, 32)) is stripes
    rows = resize_maps(stripes.mT, (8, 32))[:, :, 1:-1]  # fewer rows, more columns
    torch.testing.assert_close(rows, torch.full_like(rows, 0.5), rtol=0, atol=0.02)


def test_enlarged_labels_are_the_nearest():
    labels = torch.tensor([[[3, 9]]])
    assert enlarge_labels(labels, (2, 4)).tolist() == [[[3, 3, 9, 9], [3, 3, 9, 9]]]
