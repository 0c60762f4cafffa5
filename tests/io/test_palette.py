import numpy as np
import pytest

from dynaseg.io.palette import distinct_palette


@pytest.mark.parametrize('number', [0, 1, 27, 256])
def test_colours_differ(number):
    colours = distinct_palette(number)
    assert colours.shape == (number, 3)
    assert colours.dtype == np.uint8
    assert len(np.unique(colours, axis=0)) == number


def test_more_colours_begin_with_the_same_ones():
    np.testing.assert_array_equal(distinct_palette(40)[:10], distinct_palette(10))
