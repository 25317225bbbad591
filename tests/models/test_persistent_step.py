"""The generator's persistent step against closed forms."""

import keras
import numpy as np
import pytest
from helpers import make_networks, slow_except
from keras import layers, ops

import keras_monoflow as kmf

MAPPINGS = [*sorted(kmf.mappings.NAMED), "w1fe"]
UPDATES = ["persistent", "naive", "proximal"]
SIZE = 4


def linear_generator(inputs=64, outputs=16):
    return keras.Sequential(
        [layers.Input((inputs,)), layers.Dense(outputs, use_bias=False)]
    )


def linear_critic(inputs=16):
    """A critic whose gradient is the same everywhere."""
    return keras.Sequential([layers.Input((inputs,)), layers.Dense(1)])


def run_round(generator, critic, latent, flow="w1fe", rounds=1, **arguments):
    """A round with a critic at rest; returns the change of the weights."""
    common = {
        "generator_optimizer": keras.optimizers.SGD(1.0),
        "run_eagerly": False,
        "step_size": 0.05,
        **arguments,
    }
    if flow == "w1fe":
        model = kmf.W1FE(generator, critic, prior=latent, seed=1)
        model.compile(
            critic_optimizer=keras.optimizers.SGD(0.0), penalty=None, **common
        )
    else:
        model = kmf.MonoFlowGAN(generator, critic, prior=latent, seed=1)
        model.compile(
            discriminator_optimizer=keras.optimizers.SGD(0.0),
            mapping=flow,
            **common,
        )
    before = generator.get_weights()
    model.fit(
        np.zeros((SIZE * rounds, *critic.input_shape[1:]), "float32"),
        batch_size=SIZE,
        verbose=0,
    )
    return [a - b for a, b in zip(generator.get_weights(), before)]


@pytest.mark.parametrize(
    "flow", slow_except(["non_saturating", "w1fe"], MAPPINGS)
)
def test_one_fit_is_the_plain_step_times_step_size(flow):
    """K = 1: SGD moves by -step_size times the gradient of -E V(G(z))."""
    generator, critic = make_networks()
    latent = np.array([[0.5, -1.0]])
    rate, step_size = 0.7, 0.03

    def loss_fn():
        z = ops.convert_to_tensor(np.tile(latent, (SIZE, 1)).astype("float32"))
        output = critic(generator(z))
        if flow == "w1fe":
            return -ops.mean(output)
        return kmf.losses.MonoFlowLoss(flow, "logistic")(None, output)

    variables = generator.trainable_variables
    _, grads = kmf.gradients.value_and_grad(loss_fn, variables)
    want = [-rate * step_size * ops.convert_to_numpy(g) for g in grads]
    moved = run_round(
        generator,
        critic,
        latent,
        flow,
        generator_optimizer=keras.optimizers.SGD(rate),
        step_size=step_size,
    )
    for a, b in zip(moved, want):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7)


@pytest.mark.slow
def test_adam_hides_the_step_size_when_epsilon_is_scaled():
    """Adam divides by the gradient's size: s g with s epsilon is g."""
    changes = []
    for step_size in (1.0, 0.02):
        keras.utils.set_random_seed(3)
        changes.append(
            run_round(
                *make_networks(),
                np.array([[0.5, -1.0]]),
                generator_optimizer=keras.optimizers.Adam(
                    0.01, epsilon=1e-4 * step_size
                ),
                step_size=step_size,
                rounds=4,
            )
        )
    for a, b in zip(*changes):
        assert np.abs(a).max() > 0.01
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("persistency", slow_except([2], [2, 5]))
def test_fits_go_to_a_fixed_target(persistency):
    """A nonlinear generator and critic, against fits to a NumPy constant."""
    generator, critic = make_networks()
    latent, rate, step_size = np.array([[0.5, -1.0]]), 0.3, 0.4
    z = ops.convert_to_tensor(np.tile(latent, (SIZE, 1)).astype("float32"))
    start = generator.get_weights()
    y = ops.convert_to_numpy(generator(z))
    target = ops.convert_to_tensor(
        y + step_size * gradient_by_differences(critic, y)
    )
    for _ in range(persistency):
        _, grads = kmf.gradients.value_and_grad(
            lambda: ops.mean(ops.sum((target - generator(z)) ** 2, axis=1)) / 2,
            generator.trainable_variables,
        )
        for v, g in zip(generator.trainable_variables, grads):
            v.assign(v - rate * g)
    want = [a - b for a, b in zip(generator.get_weights(), start)]
    generator.set_weights(start)
    moved = run_round(
        generator,
        critic,
        latent,
        persistency=persistency,
        step_size=step_size,
        generator_optimizer=keras.optimizers.SGD(rate),
    )
    for a, b in zip(moved, want):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)


def gradient_by_differences(network, x, eps=1e-2):
    """Central differences of a network with one output, in float32."""
    columns = []
    for axis in range(x.shape[1]):
        step = np.zeros_like(x)
        step[:, axis] = eps
        difference = network(x + step) - network(x - step)
        columns.append(ops.convert_to_numpy(difference)[:, 0] / (2 * eps))
    return np.stack(columns, axis=1).astype("float32")


@pytest.mark.slow
@pytest.mark.parametrize("update", slow_except(["proximal"], UPDATES))
def test_the_critic_is_frozen_while_the_generator_learns(update):
    """Its batch statistics and power iterations advance as in a round in which
    the critic learns alone, whatever the number of fits."""

    def critic_after(**arguments):
        keras.utils.set_random_seed(4)
        dense = layers.Dense(8, "tanh")
        critic = keras.Sequential(
            [
                layers.Input((2,)),
                layers.SpectralNormalization(dense),
                layers.BatchNormalization(),
                layers.Dense(1),
            ]
        )
        generator, _ = make_networks()
        before = critic.get_weights()
        latent = np.array([[0.5, -1.0]])
        run_round(generator, critic, latent, update=update, **arguments)
        return before, critic.get_weights()

    before, alone = critic_after(critic_warmup=1)
    assert not all(map(np.array_equal, before, alone))
    for persistency in (1, 4):
        _, after = critic_after(persistency=persistency)
        for a, b in zip(after, alone):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("persistency", slow_except([2], [1, 2, 6]))
@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("normalize", [False, True])
def test_linear_generator_in_closed_form(rng, persistency, update, normalize):
    """One latent point z and a critic with gradient a: every fit acts on the
    moved sample alone, x <- x - rate |z|^2 * gradient of its loss. Normalized,
    a has the length 1."""
    z = rng.normal(size=(1, 64)).astype("float32")
    rate, step_size = float(0.2 / np.sum(z**2)), 0.05
    generator, critic = linear_generator(), linear_critic()
    a = critic.get_weights()[0][:, 0].astype("float64")
    if normalize:
        a = a / np.linalg.norm(a)
    moved = run_round(
        generator,
        critic,
        z,
        persistency=persistency,
        update=update,
        normalize_velocity=normalize,
        step_size=step_size,
        generator_optimizer=keras.optimizers.SGD(rate),
    )[0]
    x = np.zeros(16)  # displacement from y
    for _ in range(persistency):
        gradient = {
            "persistent": x - step_size * a,
            "naive": -a,
            "proximal": x / step_size - a,
        }[update]
        x = x - 0.2 * gradient
    np.testing.assert_allclose(z[0] @ moved, x, rtol=1e-3, atol=1e-6)


def test_every_fit_uses_the_same_latent_batch(rng):
    """The weight change has rank 4 at most, which fresh batches exceed."""
    latent = rng.normal(size=(1000, 64)).astype("float32")
    generator = linear_generator()
    critic = keras.Sequential(
        [layers.Input((16,)), layers.Dense(32, "tanh"), layers.Dense(1)]
    )
    (change,) = run_round(
        generator,
        critic,
        latent,
        persistency=6,
        step_size=1.0,
        generator_optimizer=keras.optimizers.SGD(0.01),
    )
    singular = np.linalg.svd(change, compute_uv=False)
    assert singular[3] > 1e-4 * singular[0]
    assert singular[4] < 1e-4 * singular[0]


def test_velocity_is_normalized(rng):
    z = rng.normal(size=(1, 64)).astype("float32")
    generator, critic = linear_generator(), linear_critic()
    (change,) = run_round(
        generator,
        critic,
        z,
        normalize_velocity=True,
        step_size=0.3,
        generator_optimizer=keras.optimizers.SGD(float(1.0 / np.sum(z**2))),
    )
    # One exact fit of a linear generator: the sample moves by the step size.
    np.testing.assert_allclose(np.linalg.norm(z[0] @ change), 0.3, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("reuse_generated", slow_except([True], [False, True]))
def test_warmup_trains_the_critic_alone(rng, reuse_generated):
    data = rng.normal(size=(40, 2)).astype("float32")
    model = kmf.W1FE(*make_networks(), seed=0)
    model.compile(
        generator_optimizer=keras.optimizers.SGD(0.1),
        critic_optimizer=keras.optimizers.SGD(0.1),
        critic_warmup=3,
        persistency=2,
        reuse_generated=reuse_generated,
    )
    seen = [model.generator.get_weights()[0]]

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(self.model.generator.get_weights()[0])

    critic = model.critic.get_weights()[0]
    model.fit(data, batch_size=8, verbose=0, callbacks=[Watch()])
    for i in range(3):
        np.testing.assert_array_equal(seen[i], seen[i + 1])
    assert np.abs(seen[4] - seen[3]).max() > 0
    assert np.abs(model.critic.get_weights()[0] - critic).max() > 0
    # Only the first batches of its life, not of each fit.
    model.fit(data[:8], batch_size=8, verbose=0)
    assert np.abs(model.generator.get_weights()[0] - seen[-1]).max() > 0
