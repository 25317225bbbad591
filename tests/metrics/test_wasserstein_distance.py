import os
import subprocess
import sys

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from keras_monoflow.metrics import WassersteinDistance

few = hypothesis.settings(max_examples=20)
seeds = st.integers(0, 2**32 - 1)


def by_assignment(x, y, order):
    """Between sets of one size an optimal plan is a matching."""
    cost = np.linalg.norm(x[:, None] - y[None], axis=2) ** order
    rows, columns = scipy.optimize.linear_sum_assignment(cost)
    return cost[rows, columns].mean() ** (1 / order)


@pytest.mark.parametrize("order", [1, 1.5, 2, 4])
def test_equals_the_best_matching(rng, order):
    x, y = rng.normal(size=(40, 3)), 2 * rng.normal(size=(40, 3)) + 1
    value = WassersteinDistance(order)(x, y)
    np.testing.assert_allclose(value, by_assignment(x, y, order), rtol=1e-12)


@pytest.mark.parametrize("far", [40.0, 1e5])
@pytest.mark.parametrize("order", [3, 6, 15])
def test_a_high_order_with_clusters_far_apart(rng, order, far):
    """What pays is a short way; powers of the long ones hide it."""
    x, y = rng.normal(size=(2, 4, 30, 2))
    centers = far * np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    value = WassersteinDistance(order)(
        *((of + centers[:, None]).reshape(-1, 2) for of in (x, y))
    )
    near = [by_assignment(a, b, order) ** order for a, b in zip(x, y)]
    np.testing.assert_allclose(value, np.mean(near) ** (1 / order), rtol=1e-6)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_sets_of_different_sizes(rng, order):
    # Repeating samples to a common size leaves both measures as they are.
    x, y = rng.normal(size=(6, 2)), rng.normal(size=(4, 2)) + 1
    value = WassersteinDistance(order)(x, y)
    expected = by_assignment(x.repeat(2, axis=0), y.repeat(3, axis=0), order)
    np.testing.assert_allclose(value, expected, rtol=1e-12)


def test_one_dimension_against_scipy(rng):
    x, y = rng.normal(size=50), rng.exponential(size=37)
    np.testing.assert_allclose(
        WassersteinDistance()(x, y),
        scipy.stats.wasserstein_distance(x, y),
        rtol=1e-12,
    )


@pytest.mark.parametrize("order", [1, 2, 3])
def test_translated_set(rng, order):
    # By Jensen's inequality no plan is shorter than the shift of the mean.
    x = rng.normal(size=(60, 2))
    value = WassersteinDistance(order)(x, x + np.array([3.0, 4.0]))
    np.testing.assert_allclose(value, 5.0, rtol=1e-12)


def test_gaussians_order_two(rng):
    # W_2(N(a, s^2 I), N(b, t^2 I))^2 = |a - b|^2 + d (s - t)^2, and the map
    # between them is affine, so that it can be applied to one set of samples.
    x = rng.normal(size=(200, 2))
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    value = WassersteinDistance(2)(x, 3.0 * x + [1.0, 2.0])
    np.testing.assert_allclose(value, np.sqrt(5.0 + 2 * 4.0), rtol=1e-12)


@few
@hypothesis.given(seed=seeds, scale=st.floats(1e-12, 1e12))
def test_scales_with_the_data(seed, scale):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(8, 2)), rng.normal(size=(5, 2))
    distance = WassersteinDistance(2)
    np.testing.assert_allclose(
        distance(scale * x, scale * y), scale * distance(x, y), rtol=1e-9
    )


@few
@hypothesis.given(
    seed=seeds, shift=st.floats(-1e6, 1e6), order=st.sampled_from([1, 2])
)
def test_symmetric_and_unmoved_by_a_common_shift(seed, shift, order):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(8, 2)), rng.normal(size=(5, 2))
    distance = WassersteinDistance(order)
    value = distance(x, y)
    np.testing.assert_allclose(distance(y, x), value, rtol=1e-9)
    np.testing.assert_allclose(distance(x + shift, y + shift), value, rtol=1e-7)


def test_equal_sets_are_at_distance_zero_far_from_the_origin(rng):
    x = rng.normal(size=(30, 2)) + 1e6
    assert WassersteinDistance()(x, x[::-1]) == 0.0
    with np.errstate(all="raise"):
        assert WassersteinDistance()(np.ones((3, 2)), np.ones((2, 2))) == 0.0


def test_tensors_and_images(rng):
    x, y = rng.normal(size=(2, 10, 3, 4)).astype("float32")
    value = WassersteinDistance()(
        keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y)
    )
    expected = by_assignment(
        x.reshape(10, 12).astype("float64"),
        y.reshape(10, 12).astype("float64"),
        1,
    )
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_thinning(rng):
    x = np.concatenate([np.zeros((50, 1)), np.ones((50, 1))])
    thin = WassersteinDistance(max_samples=40, seed=1)
    # Thinned at random: the first rows alone would be at distance 1.
    assert 0 < thin(x, np.ones((30, 1))) < 1
    assert thin(x, np.ones((30, 1))) == thin(x, np.ones((30, 1)))
    y = rng.normal(size=(40, 1))
    assert thin(y, y) == 0.0


def test_thinning_leaves_global_noise_alone(rng):
    x = rng.normal(size=(20, 1))
    before = np.random.get_state()[1].copy()
    WassersteinDistance(max_samples=5)(x, x)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_config(rng):
    metric = WassersteinDistance(2, max_samples=7, seed=3, name="w2")
    config = keras.saving.serialize_keras_object(metric)
    assert config["registered_name"] == "keras_monoflow>WassersteinDistance"
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == metric.get_config()
    x, y = rng.normal(size=(2, 20, 2))
    assert again(x, y) == metric(x, y)
    assert WassersteinDistance().name == "wasserstein_distance"
    assert WassersteinDistance.direction == "min"


def test_bad_arguments():
    for order in (0.5, np.inf, np.nan):
        with pytest.raises(ValueError, match=f"order={order}"):
            WassersteinDistance(order)
    with pytest.raises(ValueError, match="max_samples=0"):
        WassersteinDistance(max_samples=0)
    with pytest.raises(TypeError, match="seed='a'"):
        WassersteinDistance(seed="a")
    with pytest.raises(ValueError, match="seed=-1"):
        WassersteinDistance(seed=-1)


def test_missing_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(ImportError, match=r"keras-monoflow\[metrics\]"):
        WassersteinDistance()(np.zeros((2, 2)), np.zeros((2, 2)))


@pytest.mark.slow
def test_no_further_framework_is_loaded():
    """POT by itself imports all frameworks that are installed."""
    script = """
import os, sys
import keras, numpy as np
from keras_monoflow.metrics import WassersteinDistance
frameworks = {"jax", "tensorflow", "torch"}
before = frameworks & sys.modules.keys()
assert WassersteinDistance()(np.zeros((2, 2)), np.ones((2, 2))) > 1
after = frameworks & sys.modules.keys()
assert before == after, (before, after)
assert not [key for key in os.environ if key.startswith("POT_BACKEND")]
"""
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("POT_BACKEND")
    }
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
