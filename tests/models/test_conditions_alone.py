"""Generators without latent points, `prior=None`."""

import keras
import numpy as np
import pytest
from helpers import everything, tanh_network
from keras import layers
from numpy_networks import descend, output, run, softplus

import keras_monoflow as kmf

RATE = 0.1


def judge(rng):
    """A discriminator of pairs of points."""
    x, c = keras.Input((2,)), keras.Input((2,))
    hidden = layers.Dense(5, "tanh")(layers.Concatenate()([x, c]))
    network = keras.Model([x, c], layers.Dense(1)(hidden))
    network.set_weights(
        [rng.normal(size=w.shape) for w in network.get_weights()]
    )
    return network


def make_gan(rng, model_class=kmf.MonoFlowGAN, **arguments):
    gan = model_class(tanh_network(rng, 2), judge(rng), prior=None, seed=0)
    gan.compile(
        keras.optimizers.SGD(RATE), keras.optimizers.SGD(RATE), **arguments
    )
    return gan


@pytest.fixture
def data(rng):
    return np.float32(rng.normal(size=(2, 12, 2)))


@pytest.mark.parametrize("fits", [1, 2])
def test_a_round(rng, data, fits):
    x, c = data
    gan = make_gan(
        rng,
        generator_terms=kmf.terms.Reconstruction("l2", 0.5),
        update="naive",
        persistency=fits,
        step_size=1.0,
    )
    g, d = (
        [np.array(w, "float64") for w in network.get_weights()]
        for network in (gan.generator, gan.discriminator)
    )

    def judged(d, samples):
        return output(d, np.concatenate([samples, c], 1))

    d = descend(
        lambda w: (
            softplus(-judged(w, x)).mean()
            + softplus(judged(w, run(g, c))).mean()
        ),
        d,
        RATE,
    )
    for _ in range(fits):
        g = descend(
            lambda w: (
                softplus(-judged(d, run(w, c))).mean()
                + 0.5 * ((run(w, c) - x) ** 2).mean()
            ),
            g,
            RATE,
        )
    gan.fit(x, c, batch_size=12, shuffle=False, verbose=0)
    after = gan.generator.get_weights() + gan.discriminator.get_weights()
    for new, want in zip(after, [*g, *d]):
        np.testing.assert_allclose(new, want, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("model_class", [kmf.MonoFlowGAN, kmf.W1FE])
def test_looks_and_files(rng, data, tmp_path, model_class):
    x, c = data
    gan = make_gan(rng, model_class, step_size=0.1, ema=0.5)
    monitor = kmf.callbacks.FlowMonitor(tmp_path)
    metrics = kmf.callbacks.DistributionMetrics(
        kmf.metrics.SlicedWassersteinDistance(seed=0), samples=12
    )
    history = gan.fit(
        x,
        c,
        batch_size=4,
        verbose=0,
        validation_data=(x, c),
        callbacks=[monitor, metrics],
    ).history
    assert history["flow_generator_gradient"][0] > 0
    assert history["val_sliced_wasserstein_distance"][0] > 0
    gan.evaluate(x, c, verbose=0)
    samples = gan.sample(12, labels=c)
    np.testing.assert_allclose(samples, gan.predict(c, verbose=0), rtol=1e-5)
    weights = [
        np.array(w, "float64") for w in gan.averaged_generator.get_weights()
    ]
    np.testing.assert_allclose(samples, run(weights, c), rtol=1e-4, atol=1e-5)
    gan.save(tmp_path / "gan.keras")
    copy = keras.saving.load_model(tmp_path / "gan.keras")
    for model in (gan, copy):
        model.fit(x, c, batch_size=4, shuffle=False, verbose=0)
    for a, b in zip(everything(gan), everything(copy)):
        np.testing.assert_array_equal(a, b)


def test_what_is_refused(rng, data):
    x, _ = data
    gan = make_gan(rng)
    with pytest.raises(ValueError, match="There are no latent points"):
        gan.sample_latent(3)
    with pytest.raises(ValueError, match="`labels` must be given"):
        gan.sample(3)
    with pytest.raises(ValueError, match="is conditional here"):
        gan.fit(x, verbose=0)
    with pytest.raises(ValueError, match="a condition alone"):
        kmf.MonoFlowGAN(judge(rng), tanh_network(rng, 1), prior=None)
    x, c = keras.Input((2,)), keras.Input((3,))
    other = keras.Model([x, c], layers.Dense(1)(layers.Concatenate()([x, c])))
    with pytest.raises(ValueError, match="must take the labels that"):
        kmf.MonoFlowGAN(tanh_network(rng, 2), other, prior=None)
