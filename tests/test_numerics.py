import keras
import numpy as np
import pytest
from helpers import numpy
from keras import ops
from numpy.testing import assert_allclose, assert_array_equal

from keras_monoflow import numerics
from keras_monoflow.gradients import input_gradient

needs_float64 = pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="x64 is off on JAX by default"
)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float16", "float32"),
        ("bfloat16", "float32"),
        ("int32", "float32"),
        ("float32", "float32"),
        pytest.param("float64", "float64", marks=needs_float64),
    ],
)
def test_at_least_float32(dtype, expected):
    x = numerics.at_least_float32(ops.ones((2,), dtype=dtype))
    assert keras.backend.standardize_dtype(x.dtype) == expected


def test_at_least_float32_takes_python_numbers():
    x = numerics.at_least_float32([1, 2.5])
    assert keras.backend.standardize_dtype(x.dtype) == "float32"
    assert_array_equal(numpy(x), [1.0, 2.5])


def test_within_has_gradient_one_at_the_ends():
    x = np.array([-2, -1, 0, 3, 4], "float32")
    fn = lambda x: numerics.within(x, -1.0, 3.0)  # noqa: E731
    assert_array_equal(numpy(fn(x)), [-1, -1, 0, 3, 3])
    assert_array_equal(numpy(input_gradient(fn, x)), [0, 1, 1, 1, 0])


def test_expm1_keeps_value_and_gradient():
    x = np.array([-80, -16, -0.5, -1e-6, 0, 1e-6, 0.5, 3, 80], "float32")
    wide = x.astype("float64")
    assert_allclose(numpy(numerics.expm1(x)), np.expm1(wide), rtol=1e-5)
    gradient = input_gradient(numerics.expm1, x)
    assert_allclose(numpy(gradient), np.exp(wide), rtol=1e-5)


@pytest.mark.parametrize("a", [1.0, -2.0, 1e-6, 1e-300, 0.0])
def test_expm1_ratio_and_its_limit(a):
    x = np.array([-3, -1e-4, 0, 0.2, 3], "float32")
    expected = np.expm1(a * x.astype("float64")) / a if a else x
    assert_allclose(numpy(numerics.expm1_ratio(a, x)), expected, rtol=1e-6)


@pytest.mark.parametrize("order", [1, 2])
def test_log1p_remainder(order):
    # The derivative of the tail is (-x)^order / (1 + x).
    x = np.array([-0.6, -0.1, -1e-3, -1e-7, 0, 1e-5, 0.05, 0.1, 2.0], "float32")
    wide = x.astype("float64")
    series = sum(
        (-1) ** (k + 1) * wide**k / k for k in range(order + 1, order + 30)
    )
    plain = np.log1p(wide) - wide + (order == 2) * wide**2 / 2
    expected = np.where(np.abs(wide) < 0.2, series, plain)
    value = numerics.log1p_remainder(ops.convert_to_tensor(x), order)
    assert_allclose(numpy(value), expected, rtol=1e-4)
    gradient = input_gradient(
        lambda x: numerics.log1p_remainder(x, order), ops.convert_to_tensor(x)
    )
    assert_allclose(numpy(gradient), (-wide) ** order / (1 + wide), rtol=2e-5)


@pytest.mark.parametrize(
    ("lower", "upper"), [(None, None), (0.5, None), (None, 2.0), (0.5, 2.0)]
)
def test_continue_linearly_is_the_tangent(lower, upper):
    x = np.array([0.1, 0.5, 1.0, 2.0, 50.0], "float32")
    if lower is not None:
        x[0] = -50.0  # not in the domain of the logarithm

    def fn(x):
        return numerics.continue_linearly(
            ops.log, lambda end: 1 / end, x, lower, upper
        )

    inside = np.clip(x, lower or -np.inf, upper or np.inf)
    x = ops.convert_to_tensor(x)
    expected = np.log(inside) + (numpy(x) - inside) / inside
    assert_allclose(numpy(fn(x)), expected, rtol=1e-6)
    assert_allclose(numpy(input_gradient(fn, x)), 1 / inside, rtol=1e-6)


@needs_float64
def test_mean_is_taken_in_float64():
    x = np.array([1.0, 1e-12, -1.0])
    value = numerics.mean(ops.convert_to_tensor(x))
    assert_allclose(float(value), 1e-12 / 3, rtol=1e-3)


@needs_float64
def test_float64_is_kept():
    x = ops.convert_to_tensor(np.array([-3.0, 1e-3, 30.0]))
    results = [
        numerics.mean(x),
        numerics.within(x, -1.0, 1.0),
        numerics.expm1(x),
        numerics.expm1_ratio(2.0, x),
        numerics.log1p_remainder(ops.exp(x), 2),
        numerics.continue_linearly(ops.exp, np.exp, x, -1.0, 1.0),
    ]
    for result in results:
        assert keras.backend.standardize_dtype(result.dtype) == "float64"
