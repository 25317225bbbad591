import json
import math
import re

import hypothesis.strategies as st
import keras
import numpy as np
import pytest
from helpers import numpy, slow_except
from hypothesis import given, settings
from keras import ops
from numpy.testing import assert_allclose, assert_array_equal

from keras_monoflow import mappings
from keras_monoflow.gradients import input_gradient

needs_float64 = pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="x64 is off on JAX by default"
)


def tensor(x, dtype="float32"):
    return ops.convert_to_tensor(np.asarray(x, dtype))


def gradient(fn, u):
    return numpy(input_gradient(fn, u))


# The table of the documentation, in float64 NumPy ----------------------------


def sigmoid(u):
    return np.exp(-np.logaddexp(0, -u))


def expm1_ratio(a, u):
    return np.expm1(a * u) / a if a else u


def tangent_beyond(u, h, slope, dual, lower=-np.inf, upper=np.inf):
    """`(h, h', g)` at `u`, with the tangent of `h` beyond the ends."""
    end = np.clip(u, lower, upper)
    g = dual(end) + slope(end) * (np.exp(-end) - np.exp(-u))
    return h(end) + slope(end) * (u - end), slope(end), g


def alpha(u, a, limit=12.0):
    return tangent_beyond(
        u,
        lambda u: expm1_ratio(a, u),
        lambda u: np.exp(a * u),
        lambda u: expm1_ratio(a - 1, u),
        lower=-limit if a < 0 else -np.inf,
        upper=limit if a > 0 else np.inf,
    )


def jeffreys(u, limit=12.0):
    return tangent_beyond(
        u,
        lambda u: u + np.exp(u),
        lambda u: 1 + np.exp(u),
        lambda u: u - np.exp(-u),
        upper=limit,
    )


def vanilla(u, c=0.0):
    g = -np.exp(c) * np.logaddexp(0, -u - c)
    return np.logaddexp(0, u + c), sigmoid(u + c), g


def non_saturating(u):
    softplus = np.logaddexp(0, -u)
    return -softplus, sigmoid(-u), softplus - np.exp(-u)


def least_squares(u):
    s = sigmoid(-u)
    g = s**2 + 2 * s - 2 * np.logaddexp(0, -u)
    return -(s**2), 2 * sigmoid(u) * s**2, g


TABLE = {
    "identity": lambda u: (u, np.ones_like(u), 1 - np.exp(-u)),
    "mle": lambda u: alpha(u, 1),
    "pearson": lambda u: alpha(u, 2),
    "hellinger": lambda u: alpha(u, 0.5),
    "neyman": lambda u: alpha(u, -1),
    "vanilla": vanilla,
    "non_saturating": non_saturating,
    "arcsinh": lambda u: (np.arcsinh(u), 1 / np.sqrt(1 + u**2), None),
    "jeffreys": jeffreys,
    "least_squares": least_squares,
}
ROWS = [pytest.param(mappings.get(k), row, id=k) for k, row in TABLE.items()]
ROWS += [
    pytest.param(
        mappings.Alpha(a),
        lambda u, a=a: alpha(u, a),
        id=f"alpha{a}",
        marks=pytest.mark.slow,
    )
    for a in (3, 1.001, 0, -2.5)
]
ROWS += [
    pytest.param(
        mappings.Alpha(a, 3),
        lambda u, a=a: alpha(u, a, 3),
        id=name,
        marks=pytest.mark.slow,
    )
    for a, name in [(2, "alpha2_limit3"), (-1, "alpha-1_limit3")]
]
ROWS += [
    pytest.param(
        mappings.Vanilla(c),
        lambda u, c=c: vanilla(u, c),
        id=f"vanilla{c}",
        marks=[] if c == 5 else [pytest.mark.slow],
    )
    for c in (5, -5, 60, -60)
]
ROWS += [
    pytest.param(
        mappings.Jeffreys(2.0),
        lambda u: jeffreys(u, 2),
        id="jeffreys_limit2",
        marks=pytest.mark.slow,
    )
]
rows = pytest.mark.parametrize(("mapping", "row"), ROWS)
with_dual = pytest.mark.parametrize(
    ("mapping", "row"), [r for r in ROWS if r.values[0].dual is not None]
)
# The grid holds 0 and the default limit, where pieces of formulas meet.
GRID = np.linspace(-10, 16, 53)


@rows
def test_value_and_derivative(mapping, row):
    h, slope, _ = row(GRID)
    assert_allclose(numpy(mapping(tensor(GRID))), h, rtol=2e-5)
    assert_allclose(numpy(mapping.derivative(tensor(GRID))), slope, rtol=2e-5)


@rows
def test_derivative_is_the_gradient_of_the_value(mapping, row):
    _, slope, _ = row(GRID)
    assert_allclose(gradient(mapping, tensor(GRID)), slope, rtol=2e-5)


@needs_float64
@rows
def test_derivative_is_the_finite_difference(mapping, row):
    e = 1e-4
    u = GRID + 0.1  # a limit lies between no two points of a difference
    upper, lower = (numpy(mapping(tensor(u + s, "float64"))) for s in (e, -e))
    slope = numpy(mapping.derivative(tensor(u, "float64")))
    # Rounding of values as large as those of `h`, beside the slope itself.
    assert_allclose((upper - lower) / (2 * e), slope, rtol=1e-5, atol=1e-9)


@with_dual
def test_dual(mapping, row):
    u = GRID[GRID <= 5]  # beyond, the plain formulas cancel even in float64
    g = row(u)[2]
    assert_allclose(numpy(mapping.dual(tensor(u))), g, rtol=2e-5)
    beyond = numpy(mapping.dual(tensor(GRID)))
    assert_allclose(beyond, row(GRID)[2], rtol=2e-5, atol=1e-7)


@with_dual
def test_gradient_of_the_dual(mapping, row):
    """g' = exp(-u) h' to a small relative error, in float32 and up to 16."""
    _, slope, _ = row(GRID)
    expected = np.exp(-GRID) * slope
    assert_allclose(gradient(mapping.dual, tensor(GRID)), expected, rtol=2e-5)


@pytest.mark.slow
@settings(max_examples=50)
@given(
    # The oracle itself fails for subnormal a: there a * u is rounded away.
    a=st.floats(-3.5, 4, allow_subnormal=False),
    limit=st.floats(0.5, 15),
    u=st.lists(st.floats(-20, 20, width=32), min_size=8, max_size=8),
)
def test_any_alpha_and_limit(a, limit, u):
    mapping, u = mappings.Alpha(a, limit), np.array([*u, limit, -limit])
    u = u.astype("float32").astype("float64")
    h, slope, g = alpha(u, a, limit)
    close = {"rtol": 1e-4, "atol": 1e-15}
    assert_allclose(numpy(mapping(tensor(u))), h, **close)
    assert_allclose(numpy(mapping.derivative(tensor(u))), slope, **close)
    assert_allclose(numpy(mapping.dual(tensor(u))), g, **close)
    dual_slope = gradient(mapping.dual, tensor(u))
    assert_allclose(dual_slope, np.exp(-u) * slope, **close)


def test_limits_of_alpha_are_exact():
    u = tensor(np.linspace(-9, 9, 19))
    assert_array_equal(numpy(mappings.Alpha(0)(u)), numpy(u))
    assert_array_equal(numpy(mappings.Alpha(0).derivative(u)), 1.0)
    assert_array_equal(numpy(mappings.Alpha(1).dual(u)), numpy(u))


@rows
def test_beyond_the_limit_the_slope_is_constant(mapping, row):
    if getattr(mapping, "limit", None) is None:
        return
    side = -1 if getattr(mapping, "alpha", 1) < 0 else 1
    u = tensor(side * (mapping.limit + np.array([1e-3, 1.0, 5.0, 50.0])))
    slopes = numpy(mapping.derivative(u))
    if getattr(mapping, "alpha", 1):
        assert_array_equal(slopes, slopes[0])
        assert slopes[0] > 0
        assert_allclose(gradient(mapping, u), slopes, rtol=1e-5)


# Extreme inputs and dtypes ---------------------------------------------------

EXTREME = np.array([-1e4, -2e3, -200, -90, -40, 0, 40, 90, 200, 2e3, 1e4])


@rows
def test_extreme_inputs_stay_finite(mapping, row):
    u = tensor(EXTREME)
    for result in (mapping(u), mapping.derivative(u)):
        assert np.isfinite(numpy(result)).all()
    slope = gradient(mapping, u)
    assert np.isfinite(slope).all()
    assert (slope >= 0).all()


# g' = exp(-u) h' exceeds float32 for u << 0 unless h' falls like exp(u).
BOUNDED_BELOW = {"mle", "pearson", "vanilla", "least_squares"}


@pytest.mark.parametrize("name", sorted(set(TABLE) - {"arcsinh"}))
def test_dual_of_extreme_inputs(name):
    mapping, u = mappings.get(name), tensor(EXTREME)
    g, slope = numpy(mapping.dual(u)), gradient(mapping.dual, u)
    ordinary = (EXTREME > -50) | (name in BOUNDED_BELOW)
    assert np.isfinite(g[ordinary]).all()
    assert np.isfinite(slope[ordinary]).all()
    # What explodes is the objective itself, with the right sign and no NaN.
    assert not np.isnan(g).any()
    assert not np.isnan(slope).any()
    assert (slope >= 0).all()
    assert g[0] == -np.inf or name in BOUNDED_BELOW


@rows
@pytest.mark.parametrize(
    "dtype", slow_except(["bfloat16"], ["float16", "bfloat16"])
)
def test_half_precision_is_computed_in_float32(mapping, row, dtype):
    half = ops.cast(tensor(np.linspace(-9, 9, 37)), dtype)
    single = ops.cast(half, "float32")
    functions = [mapping, mapping.derivative]
    functions += [mapping.dual] if mapping.dual else []
    for fn in functions:
        assert keras.backend.standardize_dtype(fn(half).dtype) == "float32"
        assert_array_equal(numpy(fn(half)), numpy(fn(single)))


@needs_float64
@rows
def test_float64_stays(mapping, row):
    u = tensor(GRID[GRID <= 5], "float64")
    h, slope, g = row(GRID[GRID <= 5])
    # torch rounds softplus to a relative 2e-9, whatever the dtype.
    pairs = [(mapping(u), h), (mapping.derivative(u), slope)]
    pairs += [(mapping.dual(u), g)] if mapping.dual else []
    for result, expected in pairs:
        assert keras.backend.standardize_dtype(result.dtype) == "float64"
        assert_allclose(numpy(result), expected, rtol=1e-8)


# The flow of a divergence ----------------------------------------------------

X = np.linspace(-14, 14, 5601)


def densities(mu):
    """The data N(0, 1) and the generated N(mu, 1) on the grid `X`."""
    c = math.sqrt(2 * math.pi)
    return np.exp(-(X**2) / 2) / c, np.exp(-((X - mu) ** 2) / 2) / c


def kl(p, q):
    return np.trapezoid(p * np.log(p / q), X)


# Each divergence, times the factor that makes it the one of the table.
DIVERGENCES = {
    "identity": lambda p, q: kl(q, p),
    "mle": kl,
    "pearson": lambda p, q: np.trapezoid((p - q) ** 2 / q, X) / 2,
    "neyman": lambda p, q: np.trapezoid((p - q) ** 2 / p, X) / 2,
    "hellinger": lambda p, q: (
        2 * np.trapezoid((np.sqrt(p) - np.sqrt(q)) ** 2, X)
    ),
    "vanilla": lambda p, q: kl(p, (p + q) / 2) + kl(q, (p + q) / 2),
    "non_saturating": lambda p, q: 2 * kl((p + q) / 2, p),
    "jeffreys": lambda p, q: kl(p, q) + kl(q, p),
}


@pytest.mark.parametrize("name", DIVERGENCES)
def test_the_flow_descends_its_divergence(name):
    """d D(p, q) / d mu = -E_q[d/dx h(u(x))] for q = N(mu, 1)."""
    mu, e = 0.7, 1e-4
    divergence = DIVERGENCES[name]
    expected = divergence(*densities(mu + e)) - divergence(*densities(mu - e))
    expected /= 2 * e
    # log p/q = mu^2 / 2 - mu x, so that grad u = -mu.
    slope = mappings.get(name).derivative(tensor(mu**2 / 2 - mu * X))
    velocity = numpy(slope) * -mu
    assert_allclose(
        -np.trapezoid(densities(mu)[1] * velocity, X), expected, rtol=1e-5
    )


# Names, functions, configurations --------------------------------------------

NAMES = {
    **{name: name for name in TABLE},
    "logit": "identity",
    "reverse_kl": "identity",
    "kl": "mle",
    "saturating": "vanilla",
    "jensen_shannon": "vanilla",
    "non_saturated": "non_saturating",
    "lsgan": "least_squares",
    "gebm": "mle",
}


@pytest.mark.parametrize(("name", "row"), NAMES.items())
def test_names_and_aliases(name, row):
    u = np.linspace(-2, 2, 5)
    for spelling in (name, name.upper(), f" {name.replace('_', '-')}"):
        h = mappings.get(spelling)(tensor(u))
        assert_allclose(numpy(h), TABLE[row](u)[0], rtol=1e-5)


def test_unknown_name():
    names = {*mappings.NAMED, *mappings.ALIASES}
    assert set(NAMES) <= names
    with pytest.raises(ValueError, match="Unknown `mapping`") as error:
        mappings.get("non_saturatin")
    message = str(error.value)
    assert "Did you mean 'non_saturating'?" in message
    assert all(name in message for name in names)


@pytest.mark.parametrize("wrong", [None, 3, ["identity"], mappings.Identity])
def test_wrong_type(wrong):
    with pytest.raises(TypeError, match=re.escape(repr(wrong))):
        mappings.get(wrong)


def test_configuration_of_something_else():
    config = keras.saving.serialize_keras_object(keras.optimizers.SGD())
    with pytest.raises(TypeError, match="mapping"):
        mappings.get(config)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mappings.Alpha(1.0, limit=0), "limit=0"),
        (lambda: mappings.Alpha(1.0, limit=math.inf), "limit=inf"),
        (lambda: mappings.Alpha(50.0), "alpha=50.0"),
        (lambda: mappings.Alpha(-6.0), "alpha=-6.0"),
        (lambda: mappings.Alpha(math.nan), "alpha=nan"),
        (lambda: mappings.Vanilla(100.0), "shift=100.0"),
        (lambda: mappings.Jeffreys(-1.0), "limit=-1.0"),
        (lambda: mappings.Jeffreys(100.0), "limit=100.0"),
    ],
)
def test_invalid_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@keras.saving.register_keras_serializable("keras_monoflow_tests")
def cubic(u):
    return u + u**3


@pytest.mark.parametrize(
    "mapping",
    [*(r.values[0] for r in ROWS), mappings.FunctionMapping(cubic)],
    ids=repr,
)
def test_serialisation_round_trip(mapping):
    u = tensor(GRID)
    config = json.loads(json.dumps(mappings.serialize(mapping)))
    for copy in (
        keras.saving.deserialize_keras_object(config),
        mappings.deserialize(config),
        mappings.get(config),
    ):
        assert repr(copy) == repr(mapping)
        assert_array_equal(numpy(copy(u)), numpy(mapping(u)))


def test_function_as_mapping():
    mapping = mappings.get(cubic)
    u = np.array([-2.0, 0.0, 3.0])
    assert_allclose(numpy(mapping(tensor(u))), u + u**3)
    assert_allclose(numpy(mapping.derivative(tensor(u))), 1 + 3 * u**2)
    assert mapping.dual is None


@pytest.mark.parametrize("function", [cubic, ops.tanh, ops.arcsinh, ops.exp])
def test_increasing_functions_pass(function):
    mappings.check_monotone(function)


@pytest.mark.parametrize("name", TABLE)
def test_named_mappings_pass(name):
    mappings.check_monotone(mappings.get(name))


@pytest.mark.parametrize(
    ("function", "low", "high"),
    [
        (lambda u: ops.clip(u, -1, 1), -7, -1),
        (lambda u: -u, -7, 7),
        (lambda u: 0 * u, -7, 7),
        (ops.sin, -3 * math.pi / 2, -math.pi / 2),
        (lambda u: ops.where(u > 2, u - 1, u), 2, 2),  # falls at a jump
        (lambda u: ops.where(u > 3, np.nan, u), 3, 7),
    ],
)
def test_check_names_the_interval(function, low, high):
    with pytest.raises(ValueError, match="strictly increasing") as error:
        mappings.get(function)
    ends = re.search(r"on (\S+) <= u <= (\S+):", str(error.value)).groups()
    first, last = (float(end) for end in ends)
    assert first < last
    assert_allclose([first, last], [low, high], atol=0.13)


def test_check_rejects_functions_that_are_not_elementwise():
    with pytest.raises(ValueError, match="elementwise"):
        mappings.check_monotone(lambda u: ops.cumsum(u)[:3])


def test_base_class_says_what_is_missing():
    with pytest.raises(NotImplementedError, match="h"):
        mappings.Mapping()(tensor([0.0]))
