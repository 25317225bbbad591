import json

import keras
import numpy as np
import pytest
from helpers import numpy, slow_except
from keras import ops
from numpy.testing import assert_allclose

from keras_monoflow import penalties
from keras_monoflow.gradients import value_and_grad
from keras_monoflow.penalties import (
    DRAGAN,
    R1,
    R2,
    GradientPenalty,
    LipschitzPenalty,
)

# The cost of a gradient norm, in NumPy, by penalty.
COSTS = {
    GradientPenalty: lambda norm: (norm - 1) ** 2,
    LipschitzPenalty: lambda norm: np.maximum(norm - 1, 0) ** 2,
    R1: lambda norm: norm**2 / 2,
    R2: lambda norm: norm**2 / 2,
    DRAGAN: lambda norm: (norm - 1) ** 2,
}
INTERPOLATED = [GradientPenalty, LipschitzPenalty]
every_penalty = pytest.mark.parametrize("penalty", COSTS)


def half_squared_norm(x):
    """A critic with grad D(x) = x."""
    return ops.sum(x**2, axis=tuple(range(1, len(x.shape)))) / 2


def norms(x):
    return np.sqrt(np.sum(x.reshape(len(x), -1) ** 2, axis=1))


@every_penalty
@pytest.mark.parametrize("a", [(0.3, -0.4, 0.0), (3.0, -4.0, 0.0)])
@pytest.mark.parametrize("column", slow_except([False], [False, True]))
def test_linear_critic(penalty, a, column, rng):
    real, fake = rng.normal(size=(2, 6, 3)).astype("float32")

    def critic(x):
        d = ops.matmul(x, ops.convert_to_tensor(a, "float32")) + 0.7
        return ops.reshape(d, (-1, 1)) if column else d

    expected = 2.5 * COSTS[penalty](np.sqrt(np.sum(np.square(a))))
    value = penalty(2.5)(critic, real, fake, seed=1)
    assert_allclose(float(value), expected, rtol=1e-5)


@pytest.mark.parametrize("penalty", INTERPOLATED)
@pytest.mark.parametrize("shape", [(5, 3), (5, 4, 4, 2)])
def test_interpolated_penalties(penalty, shape, rng):
    real, fake = rng.normal(size=(2, *shape)).astype("float32")
    t = np.linspace(0, 1, 5, dtype="float32").reshape(5, *[1] * len(shape[1:]))

    class Injected(penalty):
        def times(self, x, seed):
            return ops.convert_to_tensor(t)

    value = Injected(3.0)(half_squared_norm, real, fake)
    cost = COSTS[penalty](norms(t * real + (1 - t) * fake))
    assert_allclose(float(value), 3.0 * cost.mean(), rtol=1e-5)


@pytest.mark.parametrize("shape", [(5, 3), (5, 4, 4, 2)])
def test_times_are_one_uniform_number_for_each_sample(shape):
    x = np.zeros((2000, *shape[1:]), "float32")
    t = numpy(GradientPenalty().times(ops.convert_to_tensor(x), seed=3))
    assert t.shape == (2000,) + (1,) * (len(shape) - 1)
    assert_allclose([t.min(), t.mean(), t.max()], [0, 0.5, 1], atol=0.03)


@pytest.mark.parametrize("shape", [(5, 3), (5, 4, 4, 2)])
def test_r1_is_on_data_and_r2_on_generated_samples(shape, rng):
    real, fake = rng.normal(size=(2, *shape)).astype("float32")
    for penalty, x in [(R1(3.0), real), (R2(3.0), fake)]:
        value = penalty(half_squared_norm, real, fake)
        expected = 1.5 * np.mean(norms(x) ** 2)
        assert_allclose(float(value), expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(64, 3), (16, 4, 4, 2)])
def test_dragan_is_around_the_data(shape, rng):
    real = rng.normal(size=shape).astype("float32") * 3
    fake = np.full(shape, 100, "float32")
    points = DRAGAN(1.0, scale=0.2).points(
        ops.convert_to_tensor(real), ops.convert_to_tensor(fake), seed=1
    )
    points = numpy(points)
    size = 0.2 * real.std()
    shift = points - real
    assert shift.min() >= -1e-5
    assert shift.max() <= size + 1e-5
    assert shift.max() > size / 2
    assert shift.std(axis=-1).max() > 0  # not the same for all components
    value = DRAGAN(1.0, scale=0.2)(half_squared_norm, real, fake, seed=1)
    expected = np.mean((norms(points) - 1) ** 2)
    assert_allclose(float(value), expected, rtol=1e-5)


def test_dragan_draws_times_and_noise_apart():
    # E[t noise] is 1/4 for two draws, 1/3 if they are the same numbers.
    real = ops.tile(ops.convert_to_tensor([[-1.0], [1.0]]), (2000, 1))
    points = DRAGAN(1.0, scale=1.0).points(real, real, seed=1)
    assert_allclose(float(ops.mean(points - real)), 0.25, atol=0.02)


@every_penalty
def test_gradient_with_respect_to_the_critic(penalty, rng):
    """The second-order gradient, against differences in float64."""
    x = rng.normal(size=(5, 3)).astype("float32")
    kernel = rng.normal(size=(3, 4)).astype("float32")
    v = np.array([1.5, -1.0, 0.5, 2.0])

    def expected(kernel):
        # D(x) = v . tanh(x W), hence grad D = W (v (1 - tanh^2)).
        slope = v * (1 - np.tanh(x.astype("float64") @ kernel) ** 2)
        return 2.0 * np.mean(COSTS[penalty](norms(slope @ kernel.T)))

    class AtData(penalty):
        def points(self, real, generated, seed):
            return real

    w = keras.Variable(kernel)

    def critic(x):
        hidden = ops.tanh(ops.matmul(x, w))
        return ops.matmul(hidden, v.astype("float32")[:, None])

    value, (gradient,) = value_and_grad(
        lambda: AtData(2.0)(critic, x, 0 * x), [w]
    )
    assert_allclose(float(value), expected(kernel), rtol=1e-4)
    difference = np.zeros(kernel.shape)
    for i in np.ndindex(kernel.shape):
        e = np.zeros(kernel.shape)
        e[i] = 1e-5
        difference[i] = (expected(kernel + e) - expected(kernel - e)) / 2e-5
    assert_allclose(numpy(gradient), difference, rtol=1e-3, atol=1e-4)


@every_penalty
def test_zero_gradient_of_the_critic_gives_no_nan(penalty):
    x = np.zeros((4, 3), "float32")
    w = keras.Variable(2.0)
    value, (gradient,) = value_and_grad(
        lambda: penalty(2.0)(lambda x: w * half_squared_norm(x), x, x), [w]
    )
    assert_allclose(float(value), 2.0 * COSTS[penalty](0.0))
    assert float(gradient) == 0.0


@pytest.mark.parametrize("penalty", [GradientPenalty, LipschitzPenalty, DRAGAN])
def test_seeds(penalty, rng):
    real, fake = rng.normal(size=(2, 6, 3)).astype("float32") * 2

    def value(seed):
        return float(penalty(1.0)(half_squared_norm, real, fake, seed))

    assert value(5) == value(5)
    assert value(5) != value(6)
    seeds = [keras.random.SeedGenerator(5) for _ in range(2)]
    first, again = [[value(seed), value(seed)] for seed in seeds]
    assert first[0] != first[1]
    assert first == again


def test_half_precision_is_computed_in_float32(rng):
    real = rng.normal(size=(6, 3)).astype("float16") * 100
    value = R1(1.0)(half_squared_norm, real, real)
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    expected = np.mean(norms(real.astype("float64")) ** 2) / 2
    assert_allclose(float(value), expected, rtol=1e-5)


@every_penalty
@pytest.mark.parametrize("weight", [0, -1.0, float("nan"), float("inf")])
def test_invalid_weight(penalty, weight):
    message = f"`weight` of {penalty.__name__} .* weight={weight!r}"
    with pytest.raises(ValueError, match=message):
        penalty(weight)


@pytest.mark.parametrize("scale", [0, -1.0, float("nan")])
def test_invalid_scale(scale):
    with pytest.raises(ValueError, match=f"`scale` of .*scale={scale!r}"):
        DRAGAN(scale=scale)


@pytest.mark.parametrize(
    "penalty", [*(p(2.5) for p in COSTS), DRAGAN(1.5, scale=0.3)]
)
def test_serialisation_round_trip(penalty, rng):
    real, fake = rng.normal(size=(2, 6, 3)).astype("float32")
    config = keras.saving.serialize_keras_object(penalty)
    copy = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert type(copy) is type(penalty)
    assert copy.get_config() == penalty.get_config()
    values = [p(half_squared_norm, real, fake, 7) for p in (copy, penalty)]
    assert float(values[0]) == float(values[1])


def test_get():
    r1, lp = R1(), LipschitzPenalty()
    assert penalties.get(None) == []
    assert penalties.get(r1) == [r1]
    assert penalties.get([r1, lp]) == [r1, lp]
    assert penalties.get((r1,)) == [r1]
    by_name, lp_again = penalties.get(["r1", lp])
    assert isinstance(by_name, R1)
    assert lp_again is lp


def test_get_unknown_name():
    with pytest.raises(ValueError, match="Did you mean 'lipschitz'"):
        penalties.get("lipshitz")


@pytest.mark.parametrize("wrong", [10.0, [R1(), 3], R1])
def test_get_wrong_type(wrong):
    with pytest.raises(TypeError, match="`penalty` must be"):
        penalties.get(wrong)


@pytest.mark.parametrize("epsilon", [0.5, 0.05])
def test_finite_differences_are_the_gradient_up_to_second_order(epsilon, rng):
    x = np.float32(np.broadcast_to([0.6, -0.3, 0.2], (200_000, 3)))
    penalty = R1(2.0, finite_difference=epsilon)
    # D(x + e n) - D(x) = e x.n + e^2 |n|^2 / 2, and E |n|^4 = d (d + 2).
    expected = np.sum(x[0] ** 2) + epsilon**2 / 4 * 3 * 5
    value = penalty(half_squared_norm, x, x, seed=1)
    assert_allclose(float(numpy(value)), expected, rtol=0.02)
    other = R2(2.0, finite_difference=epsilon)(half_squared_norm, 0 * x, x, 1)
    assert_allclose(float(numpy(other)), expected, rtol=0.02)


def test_finite_differences_need_single_precision():
    def critic(x):
        return ops.cast(half_squared_norm(x), "bfloat16")

    x = np.ones((4, 2), "float32")
    R1(1.0)(critic, x, x, 0)
    with pytest.raises(ValueError, match="half precision"):
        R1(1.0, finite_difference=0.01)(critic, x, x, 0)
