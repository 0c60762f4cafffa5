from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.data import page
from skimage.measure import label

from dynaseg.core.regions.build import (
    border_strengths,
    build_hierarchy,
    describe,
    working_image,
)
from dynaseg.core.regions.cues import read_soft_maps
from dynaseg.core.regions.descriptors import (
    describe_colour,
    describe_contrast,
    describe_feature,
    describe_orientations,
)
from dynaseg.core.regions.edges import find_edges
from dynaseg.core.regions.graph import build_graph
from dynaseg.core.regions.settings import DEEP, PLAIN, RegionSettings


def photograph(size, seed=0):
    """A bright disc on a dark ground, with noise."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    inside = (y - height / 2) ** 2 + (x - width / 2) ** 2 < (min(size) / 3) ** 2
    image = np.where(inside[..., None], (200, 150, 90), (40, 60, 90)).astype(float)
    image += np.random.default_rng(seed).normal(scale=6, size=image.shape)
    return image.clip(0, 255).astype(np.uint8), inside


def overlap(regions, inside):
    number = np.bincount(regions[inside]).argmax()
    return (inside & (regions == number)).sum() / (inside | (regions == number)).sum()


def test_a_disc_is_found():
    image, inside = photograph((80, 120))
    assert overlap(build_hierarchy(image).cut_to(2), inside) > 0.97


def test_floats_are_as_bytes():
    image, _ = photograph((40, 60))
    hierarchy = build_hierarchy(image)
    same = build_hierarchy(image.astype(np.float64) / 255)
    np.testing.assert_array_equal(hierarchy.leaves, same.leaves)
    np.testing.assert_allclose(hierarchy.altitudes, same.altitudes)


def test_grey_images():
    image = photograph((40, 60))[0][..., 0]
    grey = build_hierarchy(image)
    np.testing.assert_array_equal(grey.leaves, build_hierarchy(np.stack([image] * 3, 2)).leaves)


@pytest.mark.parametrize('size', [(1, 1), (1, 2), (1, 40), (40, 1), (2, 3), (5, 5)])
def test_tiny_images(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    soft = np.full((2, *size), 0.5, dtype=np.float32)
    for maps in ([], [soft]):
        hierarchy = build_hierarchy(image, maps)
        assert hierarchy.leaves.shape == size
        assert (hierarchy.cut_to(1) == 0).all()


def test_constant_images_are_one_region():
    assert build_hierarchy(np.full((30, 40, 3), 77, np.uint8)).num_leaves == 1


def test_strengths_of_borders_are_the_formula():
    rng = np.random.default_rng(0)
    lab = (0.2 * rng.random((3, 15, 24))).astype(np.float32)
    leaves = np.kron(np.arange(12).reshape(3, 4), np.ones((5, 6), int)).astype(np.int32)
    graph, edges = build_graph(leaves), find_edges(lab)
    soft = rng.random((3, 15, 24)).astype(np.float32)
    features = [rng.normal(size=(5, 15, 24)).astype(np.float32) for _ in range(4)]
    settings = replace(DEEP, soft_contrast=0.7, soft_fine=0.4, soft_coarse=0.1)
    found = border_strengths(lab, edges, [soft / soft.sum(axis=0)], features, graph, settings)
    cues = read_soft_maps([soft / soft.sum(axis=0)], graph)
    level = features[settings.contrast_level] - features[settings.contrast_level].mean(
        axis=(1, 2), keepdims=True
    )

    def mean(maps, leaf):
        return maps[:, leaves == leaf].mean(axis=1)

    for border, (one, other) in enumerate(graph.borders):
        colour = np.linalg.norm(mean(lab, one) - mean(lab, other))
        u, v = (mean(level, leaf) / np.linalg.norm(mean(level, leaf)) for leaf in (one, other))
        extra = 0.7 * cues.contrast[border] + 0.4 * cues.fine[border] + 0.1 * cues.coarse[border]
        extra += 0.45 * min(3 * colour, 1) + 0.3 * np.linalg.norm(u - v) / np.sqrt(2)
        expected = graph.border_sums(edges.strength)[border] + graph.lengths[border] * extra
        np.testing.assert_allclose(found[border], expected, rtol=1e-4)


def test_each_descriptor_has_its_weight():
    rng = np.random.default_rng(1)
    lab = rng.random((3, 15, 24)).astype(np.float32)
    graph = build_graph(np.kron(np.arange(12).reshape(3, 4), np.ones((5, 6), int)).astype(np.int32))
    features = [rng.normal(size=(5, 15, 24)).astype(np.float32) for _ in range(4)]
    settings = replace(DEEP, bands=0.0)
    found = describe(lab, features, graph, settings)
    assert found.weights == (0.8, 0.8, 0.3, 0.15, 0.45, 0.2, 0.5)
    expected = [
        describe_colour(lab, graph),
        describe_contrast(lab[0], graph),
        describe_orientations(lab[0], graph),
        *(describe_feature(level, graph) for level in features),
    ]
    np.testing.assert_array_equal(found.sums, np.concatenate(expected, axis=1))


@pytest.mark.parametrize('axis', [0, 1])
def test_soft_maps_strengthen_their_borders(axis):
    """Of two equally strong edges that cross, a soft map sees one."""
    image = np.full((60, 60, 3), 100, np.uint8)
    image[:, 30:] += 40
    image[30:] += 40
    first = np.zeros((30, 30), dtype=np.float32)
    first.swapaxes(0, axis)[:15] = 1
    soft = np.stack([first, 1 - first])  # (2, 30, 30)
    is_first = np.kron(first, np.ones((2, 2))) > 0
    regions = build_hierarchy(image, [soft]).cut_to(2)
    assert overlap(regions, is_first) == 1
    same = build_hierarchy(image, [torch.from_numpy(soft)]).cut_to(2)
    np.testing.assert_array_equal(same, regions)


def test_features_part_what_looks_the_same():
    noise = np.random.default_rng(2).normal(size=(60, 80, 3))
    noise = ndimage.gaussian_filter(noise, (2, 2, 0))
    image = (128 + 20 * noise / noise.std()).clip(0, 255).astype(np.uint8)
    level = np.ones((3, 6, 8), dtype=np.float32)
    level[1, :, 4:] = -1
    truth = np.arange(80)[None].repeat(60, axis=0) < 40
    hierarchy = build_hierarchy(image, features=[level] * 4, settings=DEEP)
    assert overlap(hierarchy.cut_to(2), truth) > 0.8
    assert hierarchy.middle == DEEP.middle


def test_large_images_are_worked_on_smaller():
    image, inside = photograph((240, 300))
    hierarchy = build_hierarchy(image, settings=RegionSettings(max_pixels=3000))
    assert hierarchy.leaves.shape == inside.shape
    assert hierarchy.num_leaves < build_hierarchy(image).num_leaves
    assert overlap(hierarchy.cut_to(2), inside) > 0.985
    components = label(hierarchy.leaves, connectivity=1, background=-1).max()
    assert components == hierarchy.num_leaves == len(np.unique(hierarchy.leaves))


def test_working_image():
    image = photograph((40, 60))[0]
    assert working_image(image, 2400) is image
    smaller = working_image(image, 600)
    expected = image.reshape(20, 2, 30, 2, 3).mean(axis=(1, 3)) / 255
    np.testing.assert_allclose(smaller, expected, atol=1e-6)
    assert working_image(np.zeros((1, 1000, 3)), 100).shape[0] == 1


def test_same_image_same_hierarchy():
    image, _ = photograph((50, 60), seed=4)
    first, second = build_hierarchy(image), build_hierarchy(image)
    np.testing.assert_array_equal(first.leaves, second.leaves)
    np.testing.assert_array_equal(first.parents, second.parents)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'image': np.zeros((4, 5, 4), np.uint8)}, r'image must be \(H, W, 3\) or \(H, W\)'),
        ({'image': np.zeros((0, 5, 3), np.uint8)}, r'image must be \(H, W, 3\)'),
        ({'image': np.zeros((4, 5, 3), np.int64)}, 'image must be uint8, or floating point'),
        ({'soft_maps': [np.ones((4, 5))]}, r'soft_maps\[0\] must be maps \(K, h, w\)'),
        ({'features': [np.ones((1, 4, 5))]}, 'features must be 0 levels'),
        ({'settings': DEEP}, 'features must be 4 levels'),
    ],
)
def test_arguments_are_checked(arguments, message):
    arguments = {'image': np.zeros((4, 5, 3), np.uint8), 'settings': PLAIN} | arguments
    with pytest.raises(ValueError, match=message):
        build_hierarchy(**arguments)


def test_settings_are_checked():
    with pytest.raises(ValueError, match='min_depth must be positive, got 0'):
        RegionSettings(min_depth=0)
    with pytest.raises(ValueError, match='contrast_level must be the index of one of 1 levels'):
        RegionSettings(feature_contrast=0.5, features=(1.0,))
    with pytest.raises(ValueError, match='one of them positive'):
        RegionSettings(colour=0, gradient=0, bands=0, orientation=0, patterns=0)
    assert RegionSettings(features=[1.0, 0.5]).features == [1.0, 0.5]  # as configs have them


def test_regions_of_enlarged_superpixels_are_connected():
    """Letters, whose thin strokes lose their neighbours when the page is enlarged."""
    settings = replace(PLAIN, max_pixels=8000)
    hierarchy = build_hierarchy(page(), settings=settings)
    for count in range(1, hierarchy.num_leaves):
        regions = hierarchy.cut_to(count)
        assert label(regions, connectivity=1, background=-1).max() == count
