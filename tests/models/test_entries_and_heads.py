"""Discriminators that judge patches, or have several outputs."""

import keras
import numpy as np
import pytest
from helpers import everything, numpy, tanh_network
from keras import layers, ops
from numpy_networks import descend, run, softplus

import keras_monoflow as kmf

RATE = 0.1


def patches_of(rng, length=6):
    """A linear critic of a signal, which judges each pair of neighbors."""
    x = keras.Input((length, 1))
    network = keras.Model(
        x, layers.Conv1D(1, 2, data_format="channels_last")(x)
    )
    network.set_weights(
        [rng.normal(size=w.shape) for w in network.get_weights()]
    )
    return network


def heads_of(rng, kind, activation="tanh"):
    """Two outputs on points of the plane: one number, and three."""
    x = keras.Input((2,))
    hidden = layers.Dense(5, activation)(x)
    one, three = layers.Dense(1)(hidden), layers.Dense(3)(hidden)
    three = layers.Reshape((3, 1))(three)
    outputs = {"list": [one, three], "dict": {"b": one, "a": three}}[kind]
    network = keras.Model(x, outputs)
    network.set_weights(
        [rng.normal(size=w.shape) for w in network.get_weights()]
    )
    return network


def weights_of(network):
    """In float64, the head with one number first."""
    weights = [np.array(w, "float64") for w in network.get_weights()]
    if weights[2].shape == (5, 3):
        return [*weights[:2], *weights[4:], *weights[2:4]]
    return weights


def all_heads(weights, x):
    """The outputs in NumPy, the one number first."""
    hidden = np.tanh(x @ weights[0] + weights[1])
    return hidden @ weights[2] + weights[3], hidden @ weights[4] + weights[5]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def make_gan(rng, discriminator, generator=None, **arguments):
    generator = generator or tanh_network(rng, 2)
    latent = np.array([0.7, -0.4])
    gan = kmf.MonoFlowGAN(
        generator, discriminator, prior=np.tile(latent, (3, 1)), seed=0
    )
    gan.compile(
        keras.optimizers.SGD(RATE), keras.optimizers.SGD(RATE), **arguments
    )
    return gan


def test_the_velocity_of_patches(rng):
    """`V` is the mean over patches of `h(u)`, each of which is linear."""
    critic = patches_of(rng)
    (kernel, (bias,)) = (np.array(w, "float64") for w in critic.get_weights())
    a, b = kernel[:, 0, 0]
    x = keras.Input((2,))
    generator = keras.Model(x, layers.Reshape((6, 1))(layers.Dense(6)(x)))
    gan = make_gan(rng, critic, generator, mapping="non_saturating")
    signals = rng.normal(size=(4, 6, 1))
    u = a * signals[:, :-1, 0] + b * signals[:, 1:, 0] + bias
    slopes = sigmoid(-u) / 5
    expected = np.zeros((4, 6))
    expected[:, :-1] += a * slopes
    expected[:, 1:] += b * slopes
    found = gan.velocity(np.float32(signals))[..., 0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        gan.log_ratio(np.float32(signals)), u.mean(1), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("kind", ["list", "dict"])
@pytest.mark.parametrize("update", ["persistent", "naive"])
def test_a_round_with_two_heads(rng, kind, update):
    """Weights 2 and 3, R1 through the sum of all four numbers; the generator
    goes down minus the weighted sum of the heads' means of h(u)."""
    weights = {"list": [2.0, 3.0], "dict": {"a": 3.0, "b": 2.0}}[kind]
    gan = make_gan(
        rng,
        heads_of(rng, kind),
        head_weights=weights,
        penalty=kmf.penalties.R1(0.1),
        persistency=1 if update == "persistent" else 2,
        update=update,
        step_size=1.0,
    )
    g = [np.array(w, "float64") for w in gan.generator.get_weights()]
    d = weights_of(gan.discriminator)
    real = np.float32(rng.normal(1.0, size=(8, 2)))
    z = np.tile([0.7, -0.4], (8, 1))

    def objective(w):
        pairs = zip(all_heads(w, real), all_heads(w, run(g, z)))
        losses = [softplus(-r).mean() + softplus(f).mean() for r, f in pairs]
        hidden = 1 - np.tanh(real @ w[0] + w[1]) ** 2
        slope = (hidden * (w[2].sum(1) + w[4].sum(1))) @ w[0].T
        r1 = 0.1 / 2 * (slope**2).sum(1).mean()
        return 2 * losses[0] + 3 * losses[1] + r1

    d = descend(objective, d, RATE)

    def generator_loss(w):
        one, three = all_heads(d, run(w, z))
        return 2 * softplus(-one).mean() + 3 * softplus(-three).mean()

    for _ in range(gan.persistency):
        g = descend(generator_loss, g, RATE)
    gan.fit(real, batch_size=8, shuffle=False, verbose=0)
    for new, want in zip(gan.generator.get_weights(), g):
        np.testing.assert_allclose(new, want, rtol=1e-4, atol=1e-5)
    expected = all_heads(d, np.float64(real))
    found = keras.tree.flatten(gan.discriminator(real))
    found = found if kind == "list" else found[::-1]
    for new, want in zip(found, expected):
        np.testing.assert_allclose(
            numpy(new).reshape(8, -1), want, rtol=1e-4, atol=1e-4
        )
    ratio = (2 * expected[0].mean(1) + 3 * expected[1].mean(1)) / 5
    np.testing.assert_allclose(gan.log_ratio(real), ratio, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"mapping": "relativistic", "discriminator_loss": "relativistic"},
        {"discriminator_loss": "donsker_varadhan", "head_weights": [1.0, 0.5]},
        {"mapping": None, "discriminator_loss": "hinge", "persistency": 2,
         "step_size": 0.1},
        {"penalty": [kmf.penalties.R1(0.1), "lecam", "centering",
                     kmf.penalties.R2(0.1, finite_difference=0.01)],
         "augment": kmf.augmentation.FunctionAugment(lambda x, seed: x)},
    ],
    ids=["relativistic", "donsker_varadhan", "hinge", "penalties"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*not registered")
def test_what_heads_go_together_with(rng, tmp_path, arguments):
    gan = make_gan(rng, heads_of(rng, "list"), **arguments)
    x = np.float32(rng.normal(size=(32, 2)))
    monitor = kmf.callbacks.FlowMonitor(tmp_path, real=x)

    def kernels():  # (Some losses do not depend on biases.)
        networks = (gan.generator, gan.discriminator)
        weights = [w for network in networks for w in network.get_weights()]
        return [w for w in weights if w.ndim > 1]

    before = kernels()
    gan.fit(x, batch_size=8, verbose=0, callbacks=[monitor])
    gan.evaluate(x, verbose=0)
    gan.refine(x, steps=2, step_size=0.1)
    assert all(np.isfinite(w).all() for w in gan.get_weights())
    assert all((a != b).any() for a, b in zip(kernels(), before))
    if "augment" in arguments:
        return  # (A function without a name cannot be saved.)
    gan.save(tmp_path / "gan.keras")
    copy = keras.saving.load_model(tmp_path / "gan.keras")
    for model in (gan, copy):
        model.fit(x, batch_size=8, shuffle=False, verbose=0)
    for a, b in zip(everything(gan), everything(copy)):
        np.testing.assert_array_equal(a, b)


def test_adaptive_augmentation_sees_the_sum(rng):
    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(2, 3, activation="relu", data_format="channels_last")
    patches = layers.Conv2D(1, 3, data_format="channels_last")(x(image))
    z = keras.Input((2,))
    generator = keras.Model(z, layers.Reshape((8, 8, 1))(layers.Dense(64)(z)))
    gan = make_gan(
        rng,
        keras.Model(image, [patches, layers.Flatten()(patches)[:, :1]]),
        generator,
        augment=kmf.augmentation.AdaptiveAugment(every=1, ramp=100),
        penalty=kmf.penalties.Consistency(1.0),
    )
    images = np.float32(rng.uniform(-1, 1, size=(16, 8, 8, 1)))
    totals = [
        ops.sum(part, axis=tuple(range(1, len(part.shape))))
        for part in gan.discriminator(images)
    ]
    signs = np.sign(numpy(totals[0]) + numpy(totals[1])).mean()
    gan.fit(images, batch_size=16, verbose=0)
    strength = float(numpy(gan.augment_state.probability))
    assert strength == pytest.approx(0.16 if signs > 0.6 else 0.0)


def test_particles_and_critics_too(rng):
    x = np.float32(rng.normal(size=(16, 2)))
    flow = kmf.ParticleFlow(heads_of(rng, "dict"), x + 1)
    flow.compile("sgd", step_size=0.1)
    flow.fit(x, batch_size=8, verbose=0)
    assert np.abs(flow.particles - x - 1).max() > 1e-3
    critic = heads_of(rng, "list")
    model = kmf.W1FE(tanh_network(rng, 2), critic)
    weights = weights_of(critic)
    slope = (1 - np.tanh(x @ weights[0] + weights[1]) ** 2) * (
        weights[2][:, 0] + weights[4].mean(1)
    )
    np.testing.assert_allclose(
        model.velocity(x), slope @ weights[0].T, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "a list of 2"),
        ({"a": 1.0, "b": 1.0}, "a list of 2"),
        ([1.0, 0.0], "head_weights"),
    ],
)
def test_weights_that_do_not_fit(rng, weights, message):
    with pytest.raises(ValueError, match=message):
        make_gan(rng, heads_of(rng, "list"), head_weights=weights)


def test_names_that_do_not_fit(rng):
    with pytest.raises(ValueError, match=r"\['a', 'b'\]"):
        make_gan(rng, heads_of(rng, "dict"), head_weights={"a": 1.0, "c": 1.0})
    with pytest.raises(ValueError, match=r"a list of 1.*\[1.0, 2.0\]"):
        make_gan(rng, tanh_network(rng, 1), head_weights=[1.0, 2.0])


def test_outputs_that_are_no_patches(rng):
    x = keras.Input((2,))
    for outputs in (
        layers.Dense(3)(x),
        [layers.Dense(1)(x), layers.Dense(2)(x)],
    ):
        with pytest.raises(ValueError, match="one for each patch"):
            make_gan(rng, keras.Model(x, outputs))
    generator = keras.Model(
        x, {"a": layers.Dense(2)(x), "b": layers.Dense(2)(x)}
    )
    with pytest.raises(ValueError, match="makes samples of shape"):
        make_gan(rng, tanh_network(rng, 1), generator)
    with pytest.raises(ValueError, match="one number for each sample"):
        kmf.W2FE(
            tanh_network(rng, 2), heads_of(rng, "list"), tanh_network(rng, 1)
        )
