"""Discriminators that see several samples at once (PacGAN)."""

import keras
import numpy as np
import pytest
from helpers import everything, numpy, tanh_network
from numpy_networks import descend, input_gradient, output, run, softplus

import keras_monoflow as kmf
from keras_monoflow.models.packs import Packs

RATE = 0.1


def groups(rows, size=2):
    """The groups of rows, in plain Python."""
    n = len(rows)
    g = -(-n // size)
    return np.array(
        [
            np.concatenate(
                [np.atleast_1d(rows[(i + j * g) % n]) for j in range(size)], -1
            )
            for i in range(g)
        ]
    )


def packed_gan(rng, pack=2, prior="normal", **arguments):
    gan = kmf.MonoFlowGAN(
        tanh_network(rng, 2),
        tanh_network(rng, 1, inputs=2 * pack),
        prior=prior,
        seed=0,
        pack=pack,
    )
    arguments = {"mapping": "identity", **arguments}
    gan.compile(
        keras.optimizers.SGD(RATE), keras.optimizers.SGD(RATE), **arguments
    )
    return gan


@pytest.mark.parametrize("shape", [(6,), (5,), (6, 3), (5, 2, 2, 3)])
@pytest.mark.parametrize("size", [2, 3])
def test_groups_stand_side_by_side(rng, shape, size):
    rows, packs = np.float32(rng.normal(size=shape)), Packs(size)
    joined = keras.ops.convert_to_numpy(packs.join(rows))
    np.testing.assert_array_equal(joined, groups(rows, size))
    assert joined.shape[1:] == packs.joined_shape(shape[1:])
    spread = keras.ops.convert_to_numpy(packs.spread(joined, len(rows)))
    for row, group in zip(rows, spread):
        assert set(np.ravel(row)) <= set(group.ravel())
    np.testing.assert_allclose(
        packs.share(len(rows), "float32"), len(rows) / len(joined)
    )


@pytest.mark.parametrize("rows", [8, 7])
@pytest.mark.parametrize("update", ["persistent", "naive"])
def test_a_round_is_that_of_pacgan(rng, update, rows):
    """With R1 on the groups, and the generator's plain loss, minus the mean of
    h(u) over groups, as its loss: one step each, in NumPy."""
    latent = np.array([0.7, -0.4])
    gan = packed_gan(
        rng,
        prior=np.tile(latent, (3, 1)),
        mapping="non_saturating",
        penalty=kmf.penalties.R1(1.0),
        persistency=1 if update == "persistent" else 2,
        update=update,
        step_size=1.0,
    )
    g, d = (
        [np.array(w, "float64") for w in network.get_weights()]
        for network in (gan.generator, gan.discriminator)
    )
    real = np.float32(rng.normal(1.0, size=(rows, 2)))
    z = np.tile(latent, (rows, 1))

    def objective(w):
        x, y = groups(real), groups(run(g, z))
        slopes = np.sum(input_gradient(w, x) ** 2, -1)
        pairs = softplus(-output(w, x)).mean() + softplus(output(w, y)).mean()
        return pairs + slopes.mean() / 2

    d = descend(objective, d, RATE)
    for _ in range(gan.persistency):
        g = descend(
            lambda w: softplus(-output(d, groups(run(w, z)))).mean(), g, RATE
        )
    gan.fit(real, batch_size=rows, shuffle=False, verbose=0)
    after = gan.generator.get_weights() + gan.discriminator.get_weights()
    for new, want in zip(after, [*g, *d]):
        np.testing.assert_allclose(new, want, rtol=1e-4, atol=1e-5)


def test_the_ratio_of_pairs_on_two_points(rng):
    """Of independent pairs of p = (.7, .3) and q = (.4, .6), the objective is
    least where the output is u(x_1) + u(x_2), for every loss with a link."""
    x1, x2 = np.meshgrid(np.repeat([0, 1], [7, 3]), np.repeat([0, 1], [7, 3]))
    y1, y2 = np.meshgrid(np.repeat([0, 1], [4, 6]), np.repeat([0, 1], [4, 6]))
    real, fake = (
        np.float32(np.concatenate([a.ravel(), b.ravel()])[:, None])
        for a, b in ((x1, x2), (y1, y2))
    )
    u = np.log([0.7 / 0.4, 0.3 / 0.6])
    inputs = keras.Input((2,))
    first, second = inputs[:, :1], inputs[:, 1:]
    features = keras.layers.Concatenate()([first, second, first * second])
    dense = keras.layers.Dense(1)
    network = keras.Model(inputs, dense(features))
    gan = kmf.MonoFlowGAN(
        tanh_network(rng, 1), network, prior=np.zeros((2, 2)), pack=2
    )
    gan.compile("sgd", "sgd")
    slope = u[1] - u[0]
    best = np.array([slope, slope, 0.0, 2 * u[0]])

    def objective(weights):
        dense.set_weights([weights[:3, None], weights[3:]])
        return float(numpy(gan.discriminator_objective(real, fake)))

    steps = 0.05 * np.eye(4)
    rises = [objective(best + s) - objective(best - s) for s in steps]
    np.testing.assert_allclose(rises, 0, atol=1e-4)
    assert all(objective(best + s) > objective(best) for s in steps)
    objective(best)
    np.testing.assert_allclose(
        gan.log_ratio(real),
        np.tile(u[x1.ravel()] + u[x2.ravel()], 2),
        rtol=1e-4,
    )


def test_looks_take_groups(rng, tmp_path):
    gan = packed_gan(rng)
    x = np.float32(rng.normal(size=(10, 2)))
    d = [np.array(w, "float64") for w in gan.discriminator.get_weights()]
    slopes = input_gradient(d, groups(x))
    velocity = 2 * np.concatenate([slopes[:, :2], slopes[:, 2:]])
    np.testing.assert_allclose(gan.velocity(x), velocity, rtol=1e-4, atol=1e-6)
    u = np.ravel(output(d, groups(x)))
    np.testing.assert_allclose(gan.log_ratio(x), np.tile(u, 2), rtol=1e-4)
    assert gan.sample_shape == (2,)
    assert not gan.velocity_is_field
    with pytest.raises(ValueError, match="pack=2"):
        gan.refine(x)
    monitor = kmf.callbacks.FlowMonitor(
        tmp_path, real=x, true_log_ratio=lambda x: x[:, 0]
    )
    with pytest.raises(ValueError, match="pack=2"):
        gan.fit(x, verbose=0, callbacks=[monitor])


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"mapping": "relativistic", "discriminator_loss": "relativistic"},
        {
            "penalty": [kmf.penalties.R1(0.1), "lecam"],
            "augment": keras.layers.GaussianNoise(1),
        },
    ],
    ids=["plain", "relativistic", "penalties"],
)
def test_a_file_goes_on_with_it(rng, tmp_path, arguments):
    gan = packed_gan(rng, pack=3, **arguments)
    x = np.float32(rng.normal(size=(40, 2)))
    monitor = kmf.callbacks.FlowMonitor(tmp_path, real=x)
    gan.fit(x, batch_size=8, verbose=0, callbacks=[monitor])
    gan.save(tmp_path / "gan.keras")
    copy = keras.saving.load_model(tmp_path / "gan.keras")
    assert copy.pack == 3
    for model in (gan, copy):
        model.fit(x, batch_size=8, shuffle=False, verbose=0)
        model.evaluate(x, verbose=0)
    for a, b in zip(everything(gan), everything(copy)):
        np.testing.assert_array_equal(a, b)


def test_labels_stand_side_by_side_too(rng):
    labels, points = keras.Input((), dtype="int32"), keras.Input((2,))
    both = keras.layers.Embedding(3, 2)(labels)
    generator = keras.Model(
        [points, labels],
        keras.layers.Dense(2)(keras.layers.Concatenate()([points, both])),
    )
    pairs, kinds = keras.Input((4,)), keras.Input((2,), dtype="int32")
    both = keras.layers.Flatten()(keras.layers.Embedding(3, 2)(kinds))
    discriminator = keras.Model(
        [pairs, kinds],
        keras.layers.Dense(1)(keras.layers.Concatenate()([pairs, both])),
    )
    critic = kmf.W1FE(generator, discriminator, pack=2)
    critic.compile("sgd", "sgd", critic_steps=2, split_batch=True)
    x, y = np.float32(rng.normal(size=(24, 2))), np.arange(24) % 3
    critic.fit(x, y, batch_size=8, verbose=0)
    critic.evaluate(x, y, batch_size=8, verbose=0)
    slopes = discriminator.layers[-1].get_weights()[0][:2, 0]
    np.testing.assert_allclose(critic.velocity(x, y)[0], 2 * slopes, rtol=1e-5)
    # (Sums of positive terms do not cancel.)
    discriminator.set_weights([np.abs(w) for w in discriminator.get_weights()])
    x = np.abs(x)
    outputs = keras.ops.convert_to_numpy(
        critic.discriminate(x, x, keras.ops.convert_to_tensor(y))[0]
    )
    expected = discriminator.predict([groups(x), groups(y)], verbose=0)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5)


def test_what_does_not_fit_is_refused(rng):
    generator, one = tanh_network(rng, 2), tanh_network(rng, 1)
    with pytest.raises(ValueError, match=r"pack=2 a group has .*\(4,\)"):
        kmf.MonoFlowGAN(generator, one, pack=2)
    with pytest.raises(ValueError, match="`pack` must be"):
        kmf.W1FE(generator, one, pack=0)
    with pytest.raises(TypeError, match="`pack` must be"):
        kmf.W1FE(generator, one, pack=1.5)
    gan = packed_gan(rng, pack=3)
    x = np.float32(rng.normal(size=(10, 2)))
    with pytest.raises(ValueError, match="`pack=3` shows"):
        gan.fit(x, batch_size=8, verbose=0)
    with pytest.raises(ValueError, match="`pack=3` shows"):
        gan.train_on_batch(x[:2])
