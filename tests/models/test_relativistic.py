"""Models whose mapping compares samples with those of the data."""

import keras
import numpy as np
import pytest
from helpers import tanh_network
from numpy_networks import descend, input_gradient, output, run, softplus

import keras_monoflow as kmf

LATENT = np.array([0.7, -0.4])
RATE = 0.1


def networks(rng):
    return [tanh_network(rng, size) for size in (2, 1)]


def r3gan(rng, prior="normal", **arguments):
    gan = kmf.MonoFlowGAN(*networks(rng), prior=prior, seed=0)
    mapping, loss = kmf.losses.named_gan("r3gan")
    gan.compile(
        keras.optimizers.SGD(RATE),
        keras.optimizers.SGD(RATE),
        mapping=mapping,
        discriminator_loss=loss,
        penalty=[kmf.penalties.R1(1.0), kmf.penalties.R2(1.0)],
        **arguments,
    )
    return gan


@pytest.mark.parametrize("fits", [1, 3])
def test_a_round_is_that_of_r3gan(rng, fits):
    gan = r3gan(rng, np.tile(LATENT, (3, 1)), persistency=fits, step_size=0.5)
    g, d = (
        [np.array(w, "float64") for w in network.get_weights()]
        for network in (gan.generator, gan.discriminator)
    )
    real = np.float32(rng.normal(1.0, size=(8, 2)))
    z = np.tile(LATENT, (8, 1))
    y = run(g, z)

    def objective(w):
        pairs = softplus(output(w, y) - output(w, real)).mean()
        slopes = [np.sum(input_gradient(w, x) ** 2, -1) for x in (real, y)]
        return pairs + 1 / 2 * sum(s.mean() for s in slopes)

    d = descend(objective, d, RATE)
    gaps = output(d, real)[:, None] - output(d, y)[None]
    slopes = (1 / (1 + np.exp(-gaps))).mean(0)
    target = y + 0.5 * slopes[:, None] * input_gradient(d, y)
    for _ in range(fits):
        g = descend(
            lambda w: ((target - run(w, z)) ** 2).sum(-1).mean() / 2, g, RATE
        )
    gan.fit(real, batch_size=8, shuffle=False, verbose=0)
    after = gan.generator.get_weights() + gan.discriminator.get_weights()
    for new, want in zip(after, [*g, *d]):
        np.testing.assert_allclose(new, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("update", ["naive", "proximal"])
def test_other_updates_know_the_data_too(rng, update):
    gan = r3gan(rng, persistency=2, step_size=0.1, update=update)
    before = gan.generator.get_weights()
    gan.fit(np.float32(rng.normal(size=(16, 2))), batch_size=8, verbose=0)
    assert all(np.isfinite(w).all() for w in gan.generator.get_weights())
    assert np.abs(gan.generator.get_weights()[0] - before[0]).max() > 1e-4


def test_looks_compare_with_rows_of_the_data(rng, tmp_path):
    x = np.float32(rng.normal(size=(64, 2)))
    gan = r3gan(rng)
    with pytest.raises(ValueError, match="set_reference"):
        gan.velocity(x[:3])
    monitor = kmf.callbacks.FlowMonitor(tmp_path, real=x)
    gan.fit(x, batch_size=32, verbose=0, callbacks=[monitor])
    d = [np.array(w, "float64") for w in gan.discriminator.get_weights()]
    gaps = output(d, x)[:, None] - output(d, x[:3])[None]
    slopes = (1 / (1 + np.exp(-gaps))).mean(0)
    velocity = slopes[:, None] * input_gradient(d, x[:3])
    np.testing.assert_allclose(
        gan.velocity(x[:3]), velocity, rtol=1e-4, atol=1e-6
    )
    _, logs = monitor.history[0]
    assert 0 < logs["flow_slope_mean"] < 1
    judged = gan.evaluate(x, batch_size=64, verbose=0, return_dict=True)
    assert judged["generator_loss"] > 0

    gan.save(tmp_path / "gan.keras")
    copy = keras.saving.load_model(tmp_path / "gan.keras")
    with pytest.raises(ValueError, match="none are known"):
        copy.velocity(x[:3])
    copy.set_reference(x)
    np.testing.assert_allclose(
        copy.velocity(x[:3]), gan.velocity(x[:3]), rtol=1e-5
    )
    for model in (gan, copy):
        model.fit(x, batch_size=32, verbose=0, shuffle=False)
    for a, b in zip(gan.get_weights(), copy.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_particles_climb_it_too(rng):
    x = np.float32(rng.normal(size=(32, 2)))
    _, discriminator = networks(rng)
    flow = kmf.ParticleFlow(discriminator, x[:10])
    flow.compile("sgd", mapping="relativistic", step_size=0.1)
    flow.fit(x, batch_size=16, verbose=0)
    assert np.abs(flow.particles - x[:10]).max() > 1e-3


def test_hinge_and_what_has_no_use_for_data(rng):
    x = np.float32(rng.normal(size=(16, 2)))
    gan = kmf.MonoFlowGAN(*networks(rng))
    with pytest.raises(ValueError, match="takes no mapping"):
        gan.compile("sgd", "sgd", discriminator_loss="hinge")
    with pytest.raises(ValueError, match="W1FE"):
        gan.compile("sgd", "sgd", discriminator_loss="wasserstein")
    gan.compile("sgd", "sgd", mapping=None, discriminator_loss="hinge")
    gan.fit(x, batch_size=8, verbose=0)
    d = [np.array(w, "float64") for w in gan.discriminator.get_weights()]
    np.testing.assert_allclose(
        gan.velocity(x), input_gradient(d, x), rtol=1e-4, atol=1e-6
    )
    with pytest.raises(ValueError, match="density ratio"):
        gan.log_ratio(x)
    with pytest.raises(ValueError, match="no meaning here"):
        gan.set_reference(x)
