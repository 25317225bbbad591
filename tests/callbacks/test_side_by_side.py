"""Grids of images whose conditions are images."""

import matplotlib.image
import numpy as np
import pytest
from keras import Input, Model, layers

import keras_monoflow as kmf
from keras_monoflow.plots import image_grid

SIDE = 4


def make_model(prior, channels=3):
    """Conditions are gray; samples have the condition in their channels."""
    source = Input((SIDE, SIDE, 1))
    spread = layers.Conv2D(
        channels, 1, kernel_initializer="ones", data_format="channels_last"
    )
    inputs, x = source, spread(source)
    if prior is not None:
        z = Input((2,))
        inputs = [z, source]
        x = x + layers.Dense(1)(z)[:, None, None]
    generator = Model(inputs, x)
    target = Input((SIDE, SIDE, channels))
    both = layers.Concatenate()([target, source])
    judge = Model([target, source], layers.Dense(1)(layers.Flatten()(both)))
    model = kmf.MonoFlowGAN(generator, judge, prior=prior, seed=0)
    model.compile("sgd", "sgd")
    return model


@pytest.fixture
def pairs(rng):
    sources = np.float32(rng.uniform(-1, 1, size=(7, SIDE, SIDE, 1)))
    targets = np.float32(rng.uniform(-1, 1, size=(7, SIDE, SIDE, 3)))
    return targets, sources


def compare(path, images, columns):
    found = np.rint(255 * matplotlib.image.imread(path)[..., :3])
    expected = image_grid(np.stack(images), columns)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1)


def test_triples_without_latent_points(pairs, tmp_path):
    targets, sources = pairs
    model = make_model(None)
    grid = kmf.callbacks.SampleGrid(tmp_path, rows=3, columns=2)
    model.fit(targets, sources, batch_size=7, verbose=0, callbacks=[grid])
    results = model.predict(sources, verbose=0)
    images = []
    for row in np.linspace(0, 6, 6).astype(int):
        images.append(np.repeat(sources[row], 3, -1))
        images.extend([results[row], targets[row]])
    compare(tmp_path / "epoch_0001.png", images, columns=6)


def test_conditions_of_the_user(pairs, tmp_path):
    targets, sources = pairs
    model = make_model(None)
    grid = kmf.callbacks.SampleGrid(
        tmp_path, rows=3, columns=1, labels=sources[:3]
    )
    model.fit(targets, sources, batch_size=7, verbose=0, callbacks=[grid])
    images = []
    for source in sources[:3]:
        images.append(np.repeat(source, 3, -1))
        images.extend(model.predict(source[None], verbose=0))
    compare(tmp_path / "epoch_0001.png", images, columns=2)


def test_rows_of_several_samples(pairs, tmp_path):
    targets, sources = pairs
    model = make_model("normal")
    grid = kmf.callbacks.SampleGrid(tmp_path, rows=2, columns=3)
    model.fit(targets, sources, batch_size=7, verbose=0, callbacks=[grid])
    shown = np.linspace(0, 6, 6).astype(int)[:2]
    samples = model.sample(6, seed=0, labels=np.repeat(sources[shown], 3, 0))
    images = []
    for i, row in enumerate(shown):
        images.append(np.repeat(sources[row], 3, -1))
        images.extend(samples[3 * i : 3 * i + 3])
        images.append(targets[row])
    compare(tmp_path / "epoch_0001.png", images, columns=5)
