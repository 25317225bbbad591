"""Relativistic pairing and its mapping, the hinge, the tight chi-squared."""

import numpy as np
import pytest
from helpers import numpy
from keras import ops
from numpy.testing import assert_allclose

from keras_monoflow import losses, mappings, potentials
from keras_monoflow.gradients import input_gradient


def softplus(x):
    return np.logaddexp(0, x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture
def outputs(rng):
    return np.float32(rng.normal(size=7)), np.float32(rng.normal(size=5))


def test_pairs_are_all_or_those_of_a_row(outputs):
    real, fake = outputs
    gaps = real[:, None] - fake[None]
    loss = losses.RelativisticLoss()
    for shape in [(-1,), (-1, 1)]:
        value = loss(real.reshape(shape), fake.reshape(shape))
        assert_allclose(float(value), softplus(-gaps).mean(), rtol=1e-5)
    rows = losses.RelativisticLoss("rows")(real[:5, None], fake)
    assert_allclose(float(rows), np.diag(softplus(-gaps)).mean(), rtol=1e-5)


def test_bad_pairs(outputs):
    with pytest.raises(ValueError, match="`pairs`"):
        losses.RelativisticLoss("row")
    with pytest.raises(TypeError, match="pairs=2"):
        losses.RelativisticLoss(2)
    with pytest.raises(ValueError, match="7 real and 5 generated"):
        losses.RelativisticLoss("rows")(*outputs)


def test_the_link_is_that_of_donsker_varadhan(outputs):
    real, fake = outputs
    u = numpy(losses.RelativisticLoss().log_ratio(real, fake))
    assert_allclose(u, real - np.log(np.exp(fake).mean()), rtol=1e-5)


def test_the_mapping_is_the_generator_loss_of_r3gan(outputs):
    real, fake = outputs
    mapping, objective = losses.named_gan("r3gan")
    loss = losses.MonoFlowLoss(mapping, objective)
    # Huang et al., eq. 2, with f(t) = -softplus(-t), over all pairs.
    expected = softplus(real[:, None] - fake[None]).mean()
    assert_allclose(float(loss(real, fake)), expected, rtol=1e-5)
    slopes = sigmoid(real[:, None] - fake[None]).mean(0)
    gradient = input_gradient(
        lambda y: -len(fake) * loss(real, y), ops.convert_to_tensor(fake)
    )
    assert_allclose(numpy(gradient), slopes, rtol=1e-5)
    given = mapping.given(ops.convert_to_tensor(real))
    assert_allclose(numpy(given.derivative(fake)), slopes, rtol=1e-5)
    assert_allclose(
        numpy(given(fake.reshape(5, 1)))[:, 0],
        -softplus(real[:, None] - fake[None]).mean(0),
        rtol=1e-5,
    )


def test_the_data_must_be_known():
    mapping = mappings.get("relativistic")
    assert type(mappings.get(mappings.serialize(mapping))) is type(mapping)
    with pytest.raises(ValueError, match="none were given"):
        mapping(np.zeros(2, "float32"))
    with pytest.raises(ValueError, match="none were given"):
        losses.MonoFlowLoss(mapping)(None, np.zeros(2, "float32"))
    mappings.check_monotone(mapping.given(np.linspace(-20, 20, 5)))


def test_no_gradient_goes_through_the_data(outputs):
    real, fake = outputs
    loss = losses.MonoFlowLoss("relativistic", "relativistic")
    gradient = input_gradient(
        lambda x: loss(x, fake), ops.convert_to_tensor(real)
    )
    assert_allclose(numpy(gradient), 0.0)


def test_hinge(outputs):
    real, fake = outputs
    expected = np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean()
    loss = losses.HingeLoss()
    assert_allclose(float(loss(real, fake[:, None])), expected, rtol=1e-6)
    potential = potentials.get(None, "hinge")
    assert_allclose(numpy(potential.value(fake)), fake)
    assert not potential.estimates_ratio
    config = potential.arguments()
    assert type(potentials.get(**config)) is potentials.HingePotential
    with pytest.raises(ValueError, match="no density ratio, so it takes no"):
        potentials.get("non_saturating", loss)
    assert type(potentials.get("identity", loss)) is potentials.HingePotential


@pytest.mark.parametrize(
    "base", [losses.HingeLoss, losses.WassersteinLoss], ids=lambda b: b.__name__
)
def test_a_users_own_kind_of_loss_counts(outputs, base):
    class Doubled(base):
        def call(self, real_output, fake_output):
            return 2.0 * super().call(real_output, fake_output)

    potential = potentials.get(None, Doubled())
    value = potential.objective(*outputs, *outputs)
    assert_allclose(float(value), 2.0 * float(base()(*outputs)), rtol=1e-6)
    assert potential.weights_refused(False) == "Doubled"
    assert potentials.get(None, base()).weights_refused(False) is None
    assert potential.user_objects() == [(Doubled, "discriminator_loss")]


def test_tight_chi_squared_profiles_the_constant_out(outputs):
    real, fake = outputs
    loss, plain = losses.TightChiSquaredLoss(), losses.LeastSquaresRatioLoss()
    constants = np.float32(np.linspace(-3, 3, 60001))
    best = min(
        ((fake + c) ** 2).mean() / 2 - (real + c).mean() for c in constants
    )
    value = float(loss(real, fake))
    assert_allclose(value - 0.5, best, atol=1e-6)
    assert_allclose(float(loss(real + 7, fake + 7)), value, atol=1e-5)
    at_best = 1 - fake.mean()
    assert_allclose(
        numpy(loss.log_ratio(real, fake)),
        numpy(plain.log_ratio(real + at_best)),
        rtol=1e-4,
        atol=1e-5,
    )
    for mapping in (mappings.Alpha(2.0), mappings.Arcsinh()):
        assert_allclose(
            numpy(loss.potential(mapping, real, fake)),
            numpy(plain.potential(mapping, real + at_best)),
            rtol=1e-4,
            atol=1e-4,
        )
