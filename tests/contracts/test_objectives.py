"""Every objective finds the log density ratio of two known distributions."""

import numpy as np
import pytest
import scipy.optimize
from helpers import numpy
from keras import ops
from numpy.testing import assert_allclose, assert_array_equal

from contracts.shared import check_names, check_round_trip
from keras_monoflow import losses, mappings
from keras_monoflow.registry import MAPPINGS, OBJECTIVES

#: One row for each choice of arguments beyond those that have a name.
MAKERS = {
    **OBJECTIVES.makers,
    "label_smoothing": lambda: losses.LogisticLoss(label_smoothing=0.1),
    **{
        f"matched_{name}": lambda name=name: losses.MatchedLoss(name)
        for name in MAPPINGS.makers
        if mappings.get(name).dual is not None
    },
}
every_objective = pytest.mark.parametrize("name", MAKERS)

# A space of two points, p = (0.7, 0.3) and q = (0.4, 0.6), as batches of ten
# rows: the point of each.
REAL, FAKE = np.repeat([0, 1], [7, 3]), np.repeat([0, 1], [4, 6])
LOG_RATIO = np.log([0.7 / 0.4, 0.3 / 0.6])


def tensor(x):
    return ops.convert_to_tensor(x, "float64")


@pytest.mark.usefixtures("float64")
@every_objective
def test_the_minimizer_is_the_log_ratio(name):
    loss = MAKERS[name]()

    def value(outputs):
        return float(loss(tensor(outputs[REAL]), tensor(outputs[FAKE])))

    # Differences of values: no derivative of the package is involved.
    result = scipy.optimize.minimize(
        value, [0.3, 0.6], jac="2-point", options={"gtol": 1e-7}
    )
    fake_output = tensor(result.x[FAKE])
    u = numpy(loss.log_ratio(tensor(result.x), fake_output))
    assert u.dtype == np.float64
    assert_allclose(u, LOG_RATIO, rtol=0, atol=1e-6)


@every_objective
def test_config(name):
    loss = MAKERS[name]()
    copy = check_round_trip(loss)
    real, fake = (ops.convert_to_tensor(d) for d in ([0.2, 0.9], [0.4, -0.1]))
    assert float(copy(real, fake)) == float(loss(real, fake))
    assert_array_equal(numpy(copy.log_ratio(real)), numpy(loss.log_ratio(real)))


@pytest.mark.parametrize("name", OBJECTIVES.makers)
def test_names(name):
    check_names(OBJECTIVES, losses.get, name)


def test_the_name_of_a_matched_objective():
    loss = losses.get("matched", "pearson")
    assert loss.get_config() == losses.MatchedLoss("pearson").get_config()
