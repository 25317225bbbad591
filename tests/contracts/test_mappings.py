"""Every mapping: a new class is in here by its name, or takes one row."""

import numpy as np
import pytest
from helpers import numpy
from keras import ops
from numpy.testing import assert_allclose, assert_array_equal

from contracts.shared import check_names, check_round_trip, config
from keras_monoflow import mappings
from keras_monoflow.registry import MAPPINGS

#: One row for each choice of arguments beyond those that have a name.
MAKERS = {
    **MAPPINGS.makers,
    "alpha(0)": lambda: mappings.Alpha(0.0),
    "alpha(3, limit=3)": lambda: mappings.Alpha(3.0, limit=3.0),
    "alpha(-2, limit=3)": lambda: mappings.Alpha(-2.0, limit=3.0),
    "vanilla(5)": lambda: mappings.Vanilla(5.0),
    "vanilla(-5)": lambda: mappings.Vanilla(-5.0),
    "jeffreys(limit=2)": lambda: mappings.Jeffreys(limit=2.0),
}
every_mapping = pytest.mark.parametrize("name", MAKERS)

# On both sides of the default limits, 12, and none within 1e-3 of a limit.
GRID = np.linspace(-15.05, 14.95, 61)
STEP = 1e-4


def values(fn, u):
    result = numpy(fn(ops.convert_to_tensor(u, "float64")))
    assert result.dtype == np.float64
    assert result.shape == u.shape
    return result


def difference(fn, u):
    return (values(fn, u + STEP) - values(fn, u - STEP)) / (2 * STEP)


@pytest.mark.usefixtures("float64")
@every_mapping
def test_the_derivative_is_that_of_the_value(name):
    mapping = MAKERS[name]()
    slope = values(mapping.derivative, GRID)
    # `atol` for slopes below the rounding of a difference of values of 1.
    assert_allclose(slope, difference(mapping, GRID), rtol=1e-6, atol=1e-10)


@pytest.mark.usefixtures("float64")
@every_mapping
def test_strictly_increasing(name):
    mapping = MAKERS[name]()
    u = GRID[abs(GRID) < 10]  # beyond, `exp(3 u)` is lost beside 1
    assert (np.diff(values(mapping, u)) > 0).all()
    assert (values(mapping.derivative, GRID) > 0).all()
    mappings.check_monotone(mapping)


@pytest.mark.usefixtures("float64")
@every_mapping
def test_the_slope_of_the_dual(name):
    """g'(u) = exp(-u) h'(u)."""
    mapping = MAKERS[name]()
    if mapping.dual is None:
        pytest.skip("has no dual in closed form")
    expected = np.exp(-GRID) * values(mapping.derivative, GRID)
    found = difference(mapping.dual, GRID)
    assert_allclose(found, expected, rtol=1e-6, atol=1e-10)


@every_mapping
def test_config(name):
    mapping = MAKERS[name]()
    copy = check_round_trip(mapping)
    assert repr(copy) == repr(mapping)
    u = ops.convert_to_tensor([-4.0, 0.5, 4.0])
    assert_array_equal(numpy(copy(u)), numpy(mapping(u)))
    assert config(mappings.get(mappings.serialize(mapping))) == config(mapping)


@pytest.mark.parametrize("name", MAPPINGS.makers)
def test_names(name):
    check_names(MAPPINGS, mappings.get, name)
