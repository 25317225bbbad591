"""The two moons against scikit-learn's."""

import numpy as np
import pytest
from sklearn.datasets import make_moons

from keras_monoflow.datasets import two_moons


def rows_sorted(points):
    return points[np.lexsort(np.round(points, 4).T)]


@pytest.mark.parametrize("n", [1, 2, 100])
def test_same_points_as_scikit_learn_without_noise(n):
    points = two_moons(n, noise=0.0, seed=0)
    assert points.shape == (n, 2)
    assert points.dtype == "float32"
    # An odd point is on the outer moon here.
    expected, _ = make_moons((n - n // 2, n // 2), shuffle=False)
    np.testing.assert_allclose(
        rows_sorted(points), rows_sorted(expected), atol=1e-6
    )


def test_noise_and_shuffling():
    n = 20000
    expected, labels = make_moons(n, shuffle=False)
    points = two_moons(n, noise=0.05, seed=0)
    # The noise adds its variance to that of the curves.
    np.testing.assert_allclose(
        points.var(0), expected.var(0) + 0.05**2, rtol=0.02
    )
    # Half of the first rows lie near the outer moon.
    gaps = np.linalg.norm(points[:200, None] - expected[::10], axis=-1)
    outer = np.mean(labels[::10][gaps.argmin(axis=1)] == 0)
    assert 0.35 < outer < 0.65


def test_seed():
    same = two_moons(50, seed=3)
    np.testing.assert_array_equal(two_moons(50, seed=3), same)
    assert not np.array_equal(two_moons(50, seed=4), same)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "`n` must be at least 1. Received: n=0"),
        ({"n": 5, "noise": -0.1}, r"`noise` .* noise=-0\.1"),
    ],
)
def test_values_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        two_moons(**arguments)
