"""W2FE: the potentials, the map between Gaussians, the public behavior."""

import keras
import numpy as np
import pytest
from helpers import make_networks
from keras import layers, ops

import keras_monoflow as kmf

#: The optimal map between centered normal distributions of these covariances.
ROOT = np.array([[0.8, 0.4], [0.4, 0.6]])


class Quadratic(layers.Layer):
    """`x' A x + c` with trainable symmetric `A`: Gaussians' own potentials."""

    def build(self, input_shape):
        self.a = self.add_weight(shape=(2, 2), initializer="zeros")
        self.c = self.add_weight(shape=(), initializer="zeros")

    def call(self, x):
        a = (self.a + ops.transpose(self.a)) / 2
        return ops.sum(x * ops.matmul(x, a), axis=-1, keepdims=True) + self.c


def quadratic():
    return keras.Sequential([layers.Input((2,)), Quadratic()])


def linear_generator():
    dense = layers.Dense(2, use_bias=False)
    generator = keras.Sequential([layers.Input((2,)), dense])
    generator.set_weights([np.eye(2)])
    return generator


def gaussian_flow(**arguments):
    model = kmf.W2FE(linear_generator(), quadratic(), quadratic(), seed=0)
    defaults = {
        "generator_optimizer": keras.optimizers.SGD(0.5),
        "potential_optimizer": keras.optimizers.Adam(0.02),
        "constraint_weight": 300.0,
    }
    model.compile(**{**defaults, **arguments})
    return model


def gaussian_data(n):
    z = np.random.default_rng(2).normal(size=(n, 2))
    return (z @ ROOT).astype("float32")


def make_model(**arguments):
    generator, potential = make_networks()
    _, conjugate = make_networks()
    model = kmf.W2FE(generator, potential, conjugate, seed=1)
    defaults = {
        "generator_optimizer": keras.optimizers.Adam(1e-2),
        "potential_optimizer": keras.optimizers.Adam(1e-2),
    }
    model.compile(**{**defaults, **arguments})
    return model


@pytest.mark.slow
def test_learns_the_map_between_gaussians(rng):
    """T(x) = ROOT x from N(0, I) to N(0, ROOT^2), with ROOT symmetric."""
    warmup = 600
    model = gaussian_flow(potential_warmup=warmup)
    model.fit(gaussian_data(128 * warmup), batch_size=128, verbose=0)
    x = rng.normal(size=(500, 2))
    truth = x @ ROOT
    error = np.linalg.norm(model.transport(x) - truth)
    assert error < 0.1 * np.linalg.norm(truth - x)


@pytest.mark.slow
def test_a_round_goes_the_share_of_the_way():
    """After one round the generator is (1 - s) I + s ROOT."""
    warmup, share = 600, 0.4
    model = gaussian_flow(
        potential_warmup=warmup, step_size=share, persistency=20
    )
    model.fit(gaussian_data(128 * warmup), batch_size=128, verbose=0)
    before = model.generator.get_weights()[0]
    np.testing.assert_array_equal(before, np.eye(2))
    model.fit(gaussian_data(2000), batch_size=2000, verbose=0)
    (kernel,) = model.generator.get_weights()
    want = (1 - share) * np.eye(2) + share * ROOT
    np.testing.assert_allclose(kernel, want, atol=0.03)


def test_one_potential_step_against_differences(rng):
    """SGD on both potentials follows the gradient of the dual, by central
    differences of a NumPy copy."""
    latent, real = rng.normal(size=(1, 2)), rng.normal(size=(4, 2))
    weight, rate = 3.0, 0.1
    model = kmf.W2FE(linear_generator(), quadratic(), quadratic(), prior=latent)
    start = [0.3 * rng.normal(size=(2, 2)), np.array(0.5)]
    start += [0.2 * np.eye(2), np.array(0.4)]
    model.potential.set_weights(start[:2])
    model.conjugate.set_weights(start[2:])
    model.compile(
        generator_optimizer=keras.optimizers.SGD(0.0),
        potential_optimizer=keras.optimizers.SGD(rate),
        constraint_weight=weight,
    )
    model.fit(real, batch_size=4, verbose=0)
    x = np.tile(latent, (4, 1))

    def value(flat):
        a, c, b, d = flat[:4].reshape(2, 2), flat[4], flat[5:9], flat[9]
        phi = np.einsum("ni,ij,nj->n", x, a, x) + c
        psi = np.einsum("ni,ij,nj->n", real, b.reshape(2, 2), real) + d
        cost = ((x[:, None] - real[None]) ** 2).sum(-1) / 2
        excess = np.maximum(phi[:, None] + psi[None] - cost, 0)
        return weight * np.mean(excess**2) - phi.mean() - psi.mean()

    flat = np.concatenate([np.ravel(v) for v in start])
    steps = 1e-5 * np.eye(len(flat))
    gradient = [(value(flat + e) - value(flat - e)) / 2e-5 for e in steps]
    weights = [*model.potential.get_weights(), *model.conjugate.get_weights()]
    got = np.concatenate([np.ravel(v) for v in weights])
    want = flat - rate * np.array(gradient)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_one_fit_is_the_plain_step_times_step_size(rng):
    """K = 1: SGD moves by -step_size times the gradient of E phi(G(z))."""
    latent = np.array([[0.5, -1.0]])
    model = make_uncompiled_with_prior(latent)
    model.compile(
        generator_optimizer=keras.optimizers.SGD(0.7),
        potential_optimizer=keras.optimizers.SGD(0.0),
        step_size=0.03,
    )
    z = ops.convert_to_tensor(np.tile(latent, (4, 1)).astype("float32"))
    generator, potential = model.generator, model.potential
    variables = generator.trainable_variables
    _, grads = kmf.gradients.value_and_grad(
        lambda: ops.mean(potential(generator(z))), variables
    )
    before = generator.get_weights()
    model.fit(np.zeros((4, 2)), batch_size=4, verbose=0)
    for a, b, g in zip(generator.get_weights(), before, grads):
        want = -0.7 * 0.03 * ops.convert_to_numpy(g)
        np.testing.assert_allclose(a - b, want, rtol=1e-4, atol=1e-7)


def make_uncompiled_with_prior(latent):
    generator, potential = make_networks()
    _, conjugate = make_networks()
    return kmf.W2FE(generator, potential, conjugate, prior=latent, seed=1)


def test_transport_is_x_minus_the_gradient(rng):
    model = kmf.W2FE(linear_generator(), quadratic(), quadratic())
    a = np.array([[0.5, 0.1], [0.1, -0.3]])
    model.potential.set_weights([a, np.array(1.0)])
    x = rng.normal(size=(6, 2))
    np.testing.assert_allclose(model.transport(x), x - 2 * x @ a, rtol=1e-5)


@pytest.mark.slow
def test_logs(data):
    history = make_model(persistency=2).fit(
        data, batch_size=32, validation_data=data, verbose=0
    )
    assert set(history.history) == {
        "potential_loss",
        "generator_loss",
        "velocity_norm",
        "regression_loss",
        "val_potential_loss",
        "val_generator_loss",
    }
    assert np.isfinite([v[0] for v in history.history.values()]).all()


@pytest.mark.slow
def test_keras_file_goes_on_where_it_stopped(tmp_path, data):
    choices = {
        "constraint_weight": 50.0,
        "potential_steps": 2,
        "potential_warmup": 1,
        "persistency": 2,
        "step_size": 0.5,
        "update": "naive",
    }
    model = make_model(**choices)
    arguments = {"batch_size": 32, "shuffle": False, "verbose": 0}
    model.fit(data, **arguments)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    config = loaded.get_compile_config()
    assert {k: config[k] for k in choices} == choices
    before = model.conjugate.get_weights()
    for m in (model, loaded):
        m.fit(data, epochs=2, **arguments)
    for a, b in zip(model.variables, loaded.variables):
        np.testing.assert_array_equal(
            ops.convert_to_numpy(a.value), ops.convert_to_numpy(b.value)
        )
    assert np.abs(model.conjugate.get_weights()[0] - before[0]).max() > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"step_size": 1.5}, ["step_size", "1.5", r"\(0, 1\]"]),
        ({"step_size": 0.0}, ["step_size", "0.0"]),
        ({"constraint_weight": -1.0}, ["weight", "-1.0"]),
        ({"potential_steps": 0}, ["potential_steps", "0"]),
        ({"potential_optimizer": None}, ["potential_optimizer", "required"]),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words[0]) as error:
        make_model(**arguments)
    for word in words:
        error.match(word)


def test_bad_networks():
    generator, potential = make_networks()
    with pytest.raises(ValueError, match="two networks"):
        kmf.W2FE(generator, potential, potential)
    other = kmf.networks.mlp_discriminator(3)
    with pytest.raises(ValueError, match="`conjugate`"):
        kmf.W2FE(generator, potential, other)
    with pytest.raises(TypeError, match="`conjugate`"):
        kmf.W2FE(generator, potential, None)
