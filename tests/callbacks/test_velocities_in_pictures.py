"""The arrows of `SampleScatter` where the velocity depends on more than a
point: on labels, or on the other parts of a sample."""

import keras
import numpy as np
import pytest
from keras import layers
from matplotlib.image import imread

import keras_monoflow as kmf
from keras_monoflow.callbacks import sample_scatter


@pytest.fixture
def arrows(monkeypatch):
    """What each call of `plot_scatter` is given as the velocity."""
    found = []

    def spy(*arguments, velocity, **kwargs):
        found.append(velocity)
        return plot(*arguments, velocity=velocity, **kwargs)

    plot = sample_scatter.plot_scatter
    monkeypatch.setattr(sample_scatter, "plot_scatter", spy)
    return found


def conditional_gan(discriminator_classes=2, **arguments):
    gan = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(2, 2, units=(4,), classes=2, seed=0),
        kmf.networks.mlp_discriminator(
            2, units=(4,), classes=discriminator_classes, seed=1
        ),
        seed=0,
    )
    gan.compile("sgd", "sgd", **arguments)
    return gan


def test_arrows_of_a_conditional_model(rng, tmp_path, arrows):
    gan = conditional_gan()
    points = np.float32(rng.normal(size=(16, 2)))
    scatter = kmf.callbacks.SampleScatter(tmp_path, points, samples=6, seed=3)
    gan.fit(points, np.arange(16) % 2, verbose=0, callbacks=[scatter])
    # Those that `sample` draws from the seed.
    labels = np.random.default_rng(3).integers(2, size=6, dtype="int32")
    samples = gan.sample(6, seed=3, labels=labels)
    np.testing.assert_allclose(gan.sample(6, seed=3), samples, rtol=1e-5)
    expected = gan.velocity(samples, labels=labels)
    np.testing.assert_allclose(arrows[0], expected, rtol=1e-4, atol=1e-7)
    other = gan.velocity(samples, labels=1 - labels)
    assert not np.allclose(arrows[0], other, rtol=1e-2)


def test_a_discriminator_without_labels_has_a_field(rng, tmp_path, arrows):
    terms = [kmf.terms.Reconstruction("l1", 0.1)]
    gan = conditional_gan(None, generator_terms=terms)
    points = np.float32(rng.normal(size=(16, 2)))
    scatter = kmf.callbacks.SampleScatter(tmp_path, samples=6)
    gan.fit(points, np.arange(16) % 2, verbose=0, callbacks=[scatter])
    assert arrows[0] == gan.velocity


def test_arrows_of_one_part(rng, tmp_path, arrows):
    z, point, size = keras.Input((2,)), keras.Input((2,)), keras.Input((1,))
    both = layers.Concatenate()([point, size])
    hidden = layers.Dense(4, activation="tanh")(both)
    gan = kmf.MonoFlowGAN(
        keras.Model(z, [layers.Dense(2)(z), layers.Dense(1)(z)]),
        keras.Model([point, size], layers.Dense(1)(hidden)),
    )
    gan.compile("sgd", "sgd")
    data = [np.float32(rng.normal(size=(8, n))) for n in (2, 1)]
    film = kmf.callbacks.FlowAnimation(
        tmp_path / "film.gif", data[0], samples=5, part=0
    )
    gan.fit(data, verbose=0, callbacks=[film])
    samples = gan.sample(5, seed=0)
    expected = gan.velocity(samples)[0]
    np.testing.assert_allclose(arrows[0], expected, rtol=1e-4, atol=1e-7)
    assert imread(tmp_path / "film.gif").shape[2] >= 3
    with pytest.raises(ValueError, match="`part` must say which part"):
        gan.fit(
            data,
            verbose=0,
            callbacks=[kmf.callbacks.FlowAnimation(tmp_path / "other.gif")],
        )
