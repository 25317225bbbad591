"""Every penalty, on a linear critic, of which the gradient is known."""

import pytest
from keras import ops
from numpy.testing import assert_allclose

from contracts.shared import check_names, check_round_trip, config
from keras_monoflow import penalties
from keras_monoflow.registry import PENALTIES

#: The row of each penalty: its value for the weight 1 where |grad D| = s.
CLOSED_FORMS = {
    "gradient_penalty": lambda s: (s - 1) ** 2,
    "lipschitz": lambda s: max(0, s - 1) ** 2,
    "r1": lambda s: s**2 / 2,
    "r2": lambda s: s**2 / 2,
    "dragan": lambda s: (s - 1) ** 2,
}
every_penalty = pytest.mark.parametrize("name", PENALTIES.makers)


def get_one(name):
    (penalty,) = penalties.get(name)
    return penalty


def value(penalty, slope, rng):
    """On the critic `a.x + b` with |a| = slope."""
    real, generated = rng.normal(size=(2, 6, 2)).astype("float32")
    a = ops.convert_to_tensor([0.6 * slope, -0.8 * slope], "float32")

    def critic(x):
        return ops.matmul(x, a) + 0.3

    return float(penalty(critic, real, generated, seed=1))


def test_every_penalty_has_a_closed_form():
    assert set(CLOSED_FORMS) == set(PENALTIES.makers)


@every_penalty
@pytest.mark.parametrize("slope", [0.5, 2.5])
def test_value_on_a_linear_critic(name, slope, rng):
    penalty = PENALTIES.makers[name](weight=1.0)
    expected = CLOSED_FORMS[name](slope)
    assert_allclose(value(penalty, slope, rng), expected, rtol=1e-5)


@every_penalty
def test_the_weight_scales_the_value(name, rng):
    once, thrice = (
        value(PENALTIES.makers[name](weight=w), 2.5, rng) for w in (1.0, 3.0)
    )
    assert once > 0
    assert_allclose(thrice, 3 * once, rtol=1e-5)


@every_penalty
def test_config(name):
    penalty = PENALTIES.makers[name](weight=0.25)
    copy = check_round_trip(penalty)
    assert copy.weight == 0.25
    assert config(get_one(config(penalty))) == config(penalty)


@every_penalty
def test_names(name):
    check_names(PENALTIES, get_one, name)
