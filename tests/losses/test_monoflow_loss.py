import json

import keras
import numpy as np
import pytest
from helpers import numpy
from keras import ops
from numpy.testing import assert_allclose

from keras_monoflow import losses, mappings
from keras_monoflow.gradients import input_gradient, value_and_grad
from keras_monoflow.losses import MonoFlowLoss

OBJECTIVES = {
    "logistic": losses.LogisticLoss(),
    "smoothed": losses.LogisticLoss(0.1),
    "least_squares": losses.LeastSquaresLoss(),
    "exponential": losses.ExponentialLoss(),
    "donsker_varadhan": losses.DonskerVaradhanLoss(),
    "least_squares_ratio": losses.LeastSquaresRatioLoss(),
    "matched": "matched",
}
D = np.linspace(-3, 3, 25)
OUTSIDE = {
    "smoothed": np.log(9) < D,
    "least_squares": (D < 0) | (D > 1),
    "least_squares_ratio": D < 0,
}


def tensor(x):
    return ops.convert_to_tensor(np.asarray(x, "float32"))


def gradient(loss, d):
    """The gradient of the loss times the batch size, for each sample."""
    return len(d) * numpy(input_gradient(lambda d: loss(None, d), tensor(d)))


def test_identity_with_the_exponential_objective():
    value = MonoFlowLoss("identity", losses.ExponentialLoss())(None, tensor(D))
    assert_allclose(float(value), -np.mean(2 * D), atol=1e-6)
    value = MonoFlowLoss("identity", "exponential")(None, tensor([1.0, 2.0]))
    assert_allclose(float(value), -3.0)


def test_lsgan_is_the_square_everywhere():
    loss = MonoFlowLoss("least_squares", "least_squares")
    value = loss(None, tensor(D))
    assert_allclose(float(value), np.mean((D - 1) ** 2), rtol=1e-5)
    assert_allclose(gradient(loss, D), 2 * (D - 1), rtol=1e-5)


def test_lsgan_agrees_with_its_parts_inside_the_domain():
    objective = losses.LeastSquaresLoss()
    d = tensor(np.linspace(objective.margin, 1 - objective.margin, 25))
    composed = mappings.LeastSquares()(objective.log_ratio(d))
    value = objective.potential(mappings.LeastSquares(), d)
    assert_allclose(numpy(value), numpy(composed), rtol=1e-3)


@pytest.mark.parametrize("a", [2.0, 1.0, 0.5, 1e-4, 0.0, -1.0])
def test_b_gan_is_the_power_and_its_tangent(a):
    objective = losses.LeastSquaresRatioLoss(margin=0.01)
    d = np.array([-3.0, 0.0, 0.005, 0.02, 0.5, 1.0, 2.0, 40.0])
    end = np.maximum(d, 0.01)
    h = np.expm1(a * np.log(end)) / a if a else np.log(end)
    slope = end ** (a - 1)
    potential = lambda d: objective.potential(mappings.Alpha(a), d)  # noqa: E731
    value = numpy(potential(tensor(d)))
    assert_allclose(value, h + slope * (d - end), rtol=1e-5, atol=1e-6)
    assert_allclose(
        numpy(input_gradient(potential, tensor(d))), slope, rtol=1e-5
    )


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_mapping_with_every_objective(objective):
    for name in mappings.NAMED:
        if objective == "matched" and name == "arcsinh":
            continue
        loss = MonoFlowLoss(name, OBJECTIVES[objective])
        assert np.isfinite(float(loss(None, tensor(D)))), name
        slope = -gradient(loss, D)
        assert np.isfinite(slope).all(), name
        if (name, objective) == ("least_squares", "least_squares"):
            continue  # LSGAN pulls outputs above 1 back to 1
        assert (slope >= 0).all(), name


# h' of the others underflows where |u| > 100, which the links reach outside.
@pytest.mark.parametrize("mapping", ["identity", "arcsinh", "jeffreys"])
@pytest.mark.parametrize("objective", OUTSIDE)
def test_outputs_outside_of_the_domain_are_pulled_in(objective, mapping):
    loss = MonoFlowLoss(mapping, OBJECTIVES[objective])
    assert (-gradient(loss, D)[OUTSIDE[objective]] > 1e-4).all()


def test_shapes_agree():
    loss = MonoFlowLoss("non_saturating", "donsker_varadhan")
    flat, column = (loss(None, tensor(D.reshape(s))) for s in (-1, (-1, 1)))
    assert_allclose(float(flat), float(column), rtol=1e-6)
    assert tuple(column.shape) == ()


def test_real_output_is_ignored():
    loss = MonoFlowLoss("vanilla")
    values = [float(loss(real, tensor(D))) for real in (None, tensor([7.0]))]
    assert values[0] == values[1]
    assert_allclose(values[0], -np.logaddexp(0, D).mean(), rtol=1e-5)


def test_half_precision_is_computed_in_float32():
    fake = ops.cast(tensor([300.0, 280.0]), "float16")
    value = MonoFlowLoss("mle")(None, fake)
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    expected = -np.mean(np.expm1(12) + np.exp(12) * np.array([288, 268]))
    assert_allclose(float(value), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        MonoFlowLoss("pearson", losses.LogisticLoss(0.1)),
        MonoFlowLoss(mappings.Vanilla(2.0), "matched", name="mine"),
        MonoFlowLoss(mappings.Alpha(1.5, limit=5.0), "ulsif"),
    ],
)
def test_serialisation_round_trip(loss):
    config = keras.saving.serialize_keras_object(loss)
    copy = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert copy.name == loss.name
    assert repr(copy.mapping) == repr(loss.mapping)
    assert float(copy(None, tensor(D))) == float(loss(None, tensor(D)))


@pytest.mark.slow
def test_hand_written_training_step():
    """Shifts N(3, 1) onto N(0, 1) with a discriminator linear in x."""
    rng = np.random.default_rng(0)
    shift, w, b = (keras.Variable(v) for v in (3.0, 0.0, 0.0))
    generator_optimizer = keras.optimizers.SGD(0.2)
    discriminator_optimizer = keras.optimizers.SGD(0.5)
    discriminator_loss = losses.LogisticLoss()
    generator_loss = MonoFlowLoss("non_saturating", discriminator_loss)

    def step(real, z):
        _, gradients = value_and_grad(
            lambda: discriminator_loss(w * real + b, w * (z + shift) + b),
            [w, b],
        )
        discriminator_optimizer.apply(gradients, [w, b])
        _, gradients = value_and_grad(
            lambda: generator_loss(None, w * (z + shift) + b), [shift]
        )
        generator_optimizer.apply(gradients, [shift])
        return abs(float(shift))

    shifts = [step(*tensor(rng.normal(size=(2, 64)))) for _ in range(60)]
    assert shifts[0] > 2.5
    assert np.mean(shifts[-10:]) < 1.0


def test_generator_loss_decreases_at_a_fixed_discriminator():
    shift, optimizer = keras.Variable(3.0), keras.optimizers.SGD(0.2)
    loss, z = MonoFlowLoss("identity"), tensor([-1.0, 0.0, 1.0])
    values = []
    for _ in range(5):
        value, gradients = value_and_grad(
            lambda: loss(None, -2.0 * (z + shift)), [shift]
        )
        optimizer.apply(gradients, [shift])
        values.append(float(value))
    # The potential is -2 (z + shift), so that each step lowers shift by 0.4.
    assert_allclose(values, 2 * (3 - 0.4 * np.arange(5)), rtol=1e-5)
