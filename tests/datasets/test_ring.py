"""The ring of Gaussians against its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_monoflow import datasets
from keras_monoflow.datasets import gaussian_ring, ring_centers


def nearest(points, centers):
    return np.linalg.norm(points[:, None] - centers, axis=-1).argmin(axis=1)


def test_centers_are_roots_of_unity():
    roots = 2.0 * np.exp(2j * np.pi * np.arange(8) / 8)
    centers = ring_centers()
    assert centers.shape == (8, 2)
    assert centers.dtype == "float32"
    np.testing.assert_allclose(
        centers, np.stack([roots.real, roots.imag], 1), atol=1e-6
    )


@given(n=st.integers(1, 200), modes=st.integers(1, 12), seed=st.integers(0, 99))
def test_modes_are_balanced(n, modes, seed):
    points = gaussian_ring(n, modes=modes, std=1e-3, seed=seed)
    assert points.shape == (n, 2)
    assert points.dtype == "float32"
    labels = nearest(points, ring_centers(modes))
    counts = np.bincount(labels, minlength=modes)
    assert counts.max() - counts.min() <= 1


def test_moments_of_the_noise():
    points = gaussian_ring(40000, modes=8, radius=2.0, std=0.1, seed=0)
    centers = ring_centers(8, 2.0)
    residual = points - centers[nearest(points, centers)]
    # Four standard errors: 0.1 / sqrt(n) and 0.1 / sqrt(2 n).
    np.testing.assert_allclose(residual.mean(0), 0.0, atol=0.002)
    np.testing.assert_allclose(residual.std(0), 0.1, atol=0.0015)
    assert abs(np.corrcoef(residual.T)[0, 1]) < 0.02


def test_rows_are_shuffled():
    labels = nearest(gaussian_ring(800, seed=0), ring_centers())
    # Unshuffled labels would follow a pattern of period 8.
    assert np.mean(labels[8:] == labels[:-8]) < 0.3
    assert np.mean(labels[1:] == labels[:-1]) < 0.3


def test_the_extra_points_go_to_drawn_modes():
    centers = ring_centers()
    first = {
        int(nearest(gaussian_ring(1, seed=seed), centers)[0])
        for seed in range(50)
    }
    assert len(first) > 4


def test_names_of_version_0_1():
    np.testing.assert_array_equal(
        datasets.ring_centres(modes=3, radius=1.0), ring_centers(3, 1.0)
    )
    np.testing.assert_array_equal(
        datasets.grid_centres(side=2), datasets.grid_centers(2)
    )


def test_seed():
    same = gaussian_ring(50, seed=3)
    np.testing.assert_array_equal(gaussian_ring(50, seed=3), same)
    assert not np.array_equal(gaussian_ring(50, seed=4), same)
    assert not np.array_equal(gaussian_ring(50), gaussian_ring(50))


def test_zero_noise_gives_the_centers():
    points = gaussian_ring(8, std=0.0, seed=0)
    order = nearest(points, ring_centers())
    np.testing.assert_array_equal(points, ring_centers()[order])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "`n` must be at least 1. Received: n=0"),
        ({"n": 5, "modes": 0}, "`modes` .* modes=0"),
        ({"n": 5, "std": -0.1}, r"`std` .* std=-0\.1"),
        ({"n": 5, "std": np.nan}, "`std` .* std=nan"),
        ({"n": 5, "radius": np.inf}, "`radius` .* radius=inf"),
    ],
)
def test_values_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        gaussian_ring(**arguments)


@pytest.mark.parametrize("arguments", [{"n": 2.5}, {"n": 5, "std": "wide"}])
def test_wrong_types(arguments):
    with pytest.raises(TypeError, match="Received"):
        gaussian_ring(**arguments)
