"""Points on the dark squares of a checkerboard."""

import numpy as np
import pytest

from keras_monoflow.datasets import checkerboard


@pytest.mark.parametrize(("side", "width"), [(4, 1.0), (3, 2.0)])
def test_dark_squares_are_filled_evenly(side, width):
    points = checkerboard(9000, side, width, seed=0)
    assert points.dtype == np.float32
    places = np.floor(points / width + side / 2).astype(int)
    assert places.min() == 0
    assert places.max() == side - 1
    assert (places.sum(1) % 2 == 0).all()
    _, counts = np.unique(places, axis=0, return_counts=True)
    assert counts.max() - counts.min() <= 1
    inside = points / width + side / 2 - places
    np.testing.assert_allclose(inside.mean(0), 0.5, atol=0.02)
    np.testing.assert_allclose(inside.std(0), 12**-0.5, atol=0.01)


def test_seeds_and_bad_input():
    np.testing.assert_array_equal(
        checkerboard(9, seed=1), checkerboard(9, seed=1)
    )
    for arguments in ({"n": 0}, {"n": 5, "side": 0}, {"n": 5, "width": 0}):
        with pytest.raises(ValueError, match="must be"):
            checkerboard(**arguments)
