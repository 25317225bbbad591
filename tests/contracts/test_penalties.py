"""Every penalty, on critics of which the gradient is known, or on outputs.

A linear critic has the same gradient everywhere, and shows the cost. A
quadratic one has the gradient `x` at `x`, and shows at which points it is
taken.
"""

import numpy as np
import pytest
from helpers import numpy
from keras import ops
from numpy.testing import assert_allclose

from contracts.shared import check_names, check_round_trip, config
from keras_monoflow import penalties
from keras_monoflow.registry import PENALTIES


def between(x, y, rng):
    t = rng.uniform(size=(len(x), 1))
    return t * x + (1 - t) * y


def around(x, y, rng):
    t, noise = rng.uniform(size=(len(x), 1)), rng.uniform(size=x.shape)
    return x + t * 0.5 * x.std() * noise


#: The row of each penalty: its value for the weight 1 where |grad D| = s, and
#: where it looks, given data `x` and samples `y`.
CLOSED_FORMS = {
    "gradient_penalty": (lambda s: (s - 1) ** 2, between),
    "lipschitz": (lambda s: np.maximum(0, s - 1) ** 2, between),
    "r1": (lambda s: s**2 / 2, lambda x, y, rng: x),
    "r2": (lambda s: s**2 / 2, lambda x, y, rng: y),
    "dragan": (lambda s: (s - 1) ** 2, around),
}

#: For penalties on outputs: the value for the weight 1 in a first step.
OUTPUT_FORMS = {
    "centering": lambda r, f: ((r[:, None] + f[None]) ** 2).mean(),
    "lecam": lambda r, f: (
        (np.maximum(0, r - f.mean()) ** 2).mean()
        + (np.maximum(0, r.mean() - f) ** 2).mean()
    ),
}
#: Those that are tested by themselves.
OTHERS = {"consistency"}
every_penalty = pytest.mark.parametrize("name", PENALTIES.makers)
every_gradient_penalty = pytest.mark.parametrize("name", CLOSED_FORMS)


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
    assert {*CLOSED_FORMS, *OUTPUT_FORMS, *OTHERS} == set(PENALTIES.makers)


@pytest.mark.parametrize("name", OUTPUT_FORMS)
def test_value_on_outputs(name, rng):
    real, fake = np.float32(rng.normal(size=7)) + 1, np.float32([0.2, -0.4])
    penalty = PENALTIES.makers[name](weight=1.0)
    expected = OUTPUT_FORMS[name](real, fake)
    for shape in [(-1,), (-1, 1)]:
        outputs = real.reshape(shape), fake.reshape(shape)
        assert_allclose(numpy(penalty.of_outputs(*outputs)), expected, 1e-5)
    thrice = PENALTIES.makers[name](weight=3.0)
    found = thrice(lambda x: 2 * x, real / 2, fake / 2)
    assert_allclose(numpy(found), 3 * expected, rtol=1e-5)


@every_gradient_penalty
@pytest.mark.parametrize("slope", [0.5, 2.5])
def test_value_on_a_linear_critic(name, slope, rng):
    penalty = PENALTIES.makers[name](weight=1.0)
    cost, _ = CLOSED_FORMS[name]
    assert_allclose(value(penalty, slope, rng), cost(slope), rtol=1e-5)


@every_gradient_penalty
def test_points_on_a_quadratic_critic(name, rng):
    """So many that the mean over random points is known to half a percent."""
    centers = np.array([[[3.0, 1.0]], [[-1.0, -2.0]]])
    noise = rng.normal(size=(2, 200_000, 2))
    real, generated = (centers + noise).astype("float32")
    cost, points = CLOSED_FORMS[name]
    slopes = np.linalg.norm(points(real, generated, rng), axis=1)

    def critic(x):
        return ops.sum(x**2, axis=1) / 2

    penalty = PENALTIES.makers[name](weight=1.0)
    found = numpy(penalty(critic, real, generated, seed=1))
    assert_allclose(found, cost(slopes).mean(), rtol=0.02)


@every_gradient_penalty
def test_the_weight_scales_the_value(name, rng):
    once, thrice = (
        value(PENALTIES.makers[name](weight=w), 2.5, rng) for w in (1.0, 3.0)
    )
    assert once > 0
    assert_allclose(thrice, 3 * once, rtol=1e-5)


@every_penalty
def test_config(name):
    penalty = PENALTIES.makers[name](weight=0.25, every=4)
    copy = check_round_trip(penalty)
    assert (copy.weight, copy.every) == (0.25, 4)
    assert config(get_one(config(penalty))) == config(penalty)


@every_penalty
def test_names(name):
    check_names(PENALTIES, get_one, name)
