import numpy as np

from dynaseg.photos.drawing import draw_overlay, find_outlines


def test_outlines_run_where_labels_change():
    labels = np.zeros((6, 6), int)
    labels[2:4, 2:4] = 1
    outlines = find_outlines(labels)
    expected = np.array(
        [
            [0, 0, 0, 0, 0, 0],
            [0, 0, 1, 1, 0, 0],
            [0, 1, 0, 1, 0, 0],
            [0, 1, 1, 1, 0, 0],
            [0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0],
        ],
        bool,
    )
    assert (outlines == expected).all()


def test_each_region_has_a_colour_of_its_own_near_that_of_its_pixels():
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, :4] = [200, 60, 60]
    image[:, 4:] = [60, 60, 200]
    labels = np.repeat([[0, 0, 0, 0, 1, 1, 1, 1]], 8, axis=0)
    for order in (labels, 1 - labels):
        overlay = draw_overlay(image, order, opacity=1)
        left, right = overlay[0, 0].astype(int), overlay[0, 7].astype(int)
        assert left[0] > left[2]
        assert right[2] > right[0]
        assert (overlay[:, 3] == 255).all()


def test_opacity():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    labels = np.zeros((8, 8), int)
    assert (draw_overlay(image, labels, opacity=0) == image).all()
    assert len(np.unique(draw_overlay(image, labels, opacity=1).reshape(-1, 3), axis=0)) == 1


def test_many_labels_and_gaps_among_them():
    image = np.zeros((20, 20, 3), np.uint8)
    assert draw_overlay(image, np.arange(400).reshape(20, 20)).shape == (20, 20, 3)
    assert draw_overlay(image, np.full((20, 20), 7)).shape == (20, 20, 3)
