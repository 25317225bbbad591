"""The grid of Gaussians against its definition."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_monoflow.datasets import gaussian_grid, grid_centers


def test_centers_of_a_small_grid():
    expected = list(itertools.product([-3.0, 0.0, 3.0], repeat=2))
    np.testing.assert_allclose(grid_centers(side=3, spacing=3.0), expected)


@given(side=st.integers(1, 8), spacing=st.floats(0.1, 10.0))
def test_centers_are_centered_and_spaced(side, spacing):
    centers = grid_centers(side, spacing)
    assert centers.shape == (side**2, 2)
    assert centers.dtype == "float32"
    np.testing.assert_allclose(centers.mean(0), 0.0, atol=1e-4)
    for axis in range(2):
        line = np.unique(centers[:, axis])
        np.testing.assert_allclose(np.diff(line), spacing, rtol=1e-4)
        assert len(line) == side


@given(n=st.integers(1, 300), side=st.integers(1, 6), seed=st.integers(0, 99))
def test_modes_are_balanced(n, side, seed):
    points = gaussian_grid(n, side, std=1e-3, seed=seed)
    assert points.shape == (n, 2)
    assert points.dtype == "float32"
    cells = np.round(points / 2.0 + (side - 1) / 2).astype(int)
    counts = np.bincount(cells @ [side, 1], minlength=side**2)
    assert counts.max() - counts.min() <= 1


def test_moments():
    points = gaussian_grid(50000, side=5, spacing=2.0, std=0.05, seed=0)
    # The variance of a uniform choice among -4, -2, 0, 2, 4 is 8.
    np.testing.assert_allclose(points.var(0), 8.0 + 0.05**2, atol=0.01)
    np.testing.assert_allclose(points.mean(0), 0.0, atol=0.002)


def test_seed():
    same = gaussian_grid(50, seed=3)
    np.testing.assert_array_equal(gaussian_grid(50, seed=3), same)
    assert not np.array_equal(gaussian_grid(50, seed=4), same)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": -1}, "`n` must be at least 1. Received: n=-1"),
        ({"n": 5, "side": 0}, "`side` .* side=0"),
        ({"n": 5, "spacing": -2.0}, r"`spacing` .* spacing=-2\.0"),
        ({"n": 5, "std": -1.0}, r"`std` .* std=-1\.0"),
    ],
)
def test_values_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        gaussian_grid(**arguments)
