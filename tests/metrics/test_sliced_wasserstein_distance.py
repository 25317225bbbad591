import sys

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import scipy.stats

from keras_monoflow.metrics import (
    SlicedWassersteinDistance,
    WassersteinDistance,
    sliced_wasserstein_distance,
)
from keras_monoflow.metrics.optimal_transport import import_pot

few = hypothesis.settings(max_examples=20)
seeds = st.integers(0, 2**32 - 1)


def directions(seed, width, count):
    u = np.random.default_rng(seed).normal(size=(width, count))
    return u / np.linalg.norm(u, axis=0)


@pytest.mark.parametrize("block", [1, 2**22])
def test_order_one_against_scipy(rng, monkeypatch, block):
    # A small block makes it go direction by direction.
    monkeypatch.setattr(sliced_wasserstein_distance, "_BLOCK", block)
    x, y = rng.normal(size=(30, 3)), rng.exponential(size=(21, 3))
    u = directions(4, 3, 25)
    expected = np.mean(
        [scipy.stats.wasserstein_distance(x @ v, y @ v) for v in u.T]
    )
    value = SlicedWassersteinDistance(25, order=1, seed=4)(x, y)
    np.testing.assert_allclose(value, expected, rtol=1e-10)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_equal_sizes_by_sorting(rng, order):
    x, y = rng.normal(size=(40, 4)), 2 * rng.normal(size=(40, 4)) + 1
    u = directions(0, 4, 50)
    gaps = np.abs(np.sort(x @ u, axis=0) - np.sort(y @ u, axis=0))
    value = SlicedWassersteinDistance(50, order)(x, y)
    expected = np.mean(gaps**order) ** (1 / order)
    np.testing.assert_allclose(value, expected, rtol=1e-10)


def test_against_pot(rng):
    ot, _ = import_pot()
    x, y = rng.normal(size=(31, 3)), rng.normal(size=(44, 3)) + 1
    expected = ot.sliced.sliced_wasserstein_distance(
        x, y, projections=directions(0, 3, 20), p=2
    )
    value = SlicedWassersteinDistance(20)(x, y)
    np.testing.assert_allclose(value, expected, rtol=1e-10)


def test_sets_of_different_sizes(rng):
    # Repeating samples to a common size leaves both measures as they are.
    x, y = rng.normal(size=(6, 2)), rng.normal(size=(4, 2)) + 1
    metric = SlicedWassersteinDistance(30)
    np.testing.assert_allclose(
        metric(x, y), metric(x.repeat(2, axis=0), y.repeat(3, axis=0))
    )


def test_translated_set_in_closed_form(rng):
    # The mean of (u . s)^2 over the sphere is |s|^2 / d.
    x = rng.normal(size=(20, 5))
    shift = np.array([1.0, -2.0, 0.0, 2.0, 4.0])
    value = SlicedWassersteinDistance(20_000)(x, x + shift)
    np.testing.assert_allclose(value, 5 / 5**0.5, rtol=0.01)
    value = SlicedWassersteinDistance(order=1)(x[:, :1], x[:, :1] + 3.0)
    np.testing.assert_allclose(value, 3.0, rtol=1e-12)


@few
@hypothesis.given(
    seed=seeds,
    scale=st.floats(1e-12, 1e12),
    shift=st.floats(-1e3, 1e3),
    order=st.sampled_from([1, 2]),
)
def test_symmetric_scaled_unmoved_and_small(seed, scale, shift, order):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(8, 2)), rng.normal(size=(5, 2))
    metric = SlicedWassersteinDistance(20, order)
    value = metric(x, y)
    np.testing.assert_allclose(metric(y, x), value, rtol=1e-9)
    np.testing.assert_allclose(
        metric(scale * (x + shift), scale * (y + shift)),
        scale * value,
        rtol=1e-7,
    )
    assert value <= WassersteinDistance(order)(x, y) * (1 + 1e-12)


def test_seeds_and_equal_sets(rng):
    x, y = rng.normal(size=(2, 20, 3))
    before = np.random.get_state()[1].copy()
    metric = SlicedWassersteinDistance(5, seed=1)
    assert metric(x, y) == SlicedWassersteinDistance(5, seed=1)(x, y)
    assert metric(x, y) != SlicedWassersteinDistance(5, seed=2)(x, y)
    assert metric(x + 1e6, x[::-1] + 1e6) == 0.0
    assert metric(np.ones((3, 2)), np.ones((2, 2))) == 0.0
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_tensors_and_images(rng):
    x, y = rng.normal(size=(2, 10, 3, 4)).astype("float32")
    value = SlicedWassersteinDistance(10)(keras.ops.convert_to_tensor(x), y)
    rows = (a.reshape(10, 12).astype("float64") for a in (x, y))
    np.testing.assert_allclose(
        value, SlicedWassersteinDistance(10)(*rows), rtol=1e-12
    )


def test_config():
    metric = SlicedWassersteinDistance(7, 1.5, 3, "sw")
    config = keras.saving.serialize_keras_object(metric)
    assert (
        config["registered_name"] == "keras_monoflow>SlicedWassersteinDistance"
    )
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == metric.get_config()
    assert SlicedWassersteinDistance().name == "sliced_wasserstein_distance"
    assert SlicedWassersteinDistance.direction == "min"


def test_bad_arguments(monkeypatch):
    for order in (0.5, np.inf, np.nan):
        with pytest.raises(ValueError, match=f"order={order}"):
            SlicedWassersteinDistance(order=order)
    with pytest.raises(ValueError, match="projections=0"):
        SlicedWassersteinDistance(0)
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(ImportError, match=r"keras-monoflow\[metrics\]"):
        SlicedWassersteinDistance()(np.zeros((2, 2)), np.zeros((2, 2)))
