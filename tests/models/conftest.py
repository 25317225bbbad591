"""Small networks for the tests of models."""

import keras
import pytest
from keras import layers

import keras_monoflow as kmf


def make_networks(batch_norm=False, dropout=0.0):
    """A generator and a discriminator of points in the plane."""
    generator = [layers.Input((2,)), layers.Dense(8, "tanh")]
    if batch_norm:
        generator.append(layers.BatchNormalization())
    if dropout:
        generator.append(layers.Dropout(dropout))
    generator.append(layers.Dense(2, dtype="float32"))
    discriminator = [layers.Input((2,)), layers.Dense(8, "tanh")]
    if dropout:
        discriminator.append(layers.Dropout(dropout))
    discriminator.append(layers.Dense(1, dtype="float32"))
    return (
        keras.Sequential(generator, name="generator"),
        keras.Sequential(discriminator, name="discriminator"),
    )


def make_gan(mapping="non_saturating", seed=1, **compile_arguments):
    gan = kmf.MonoFlowGAN(*make_networks(), seed=seed)
    defaults = {
        "generator_optimizer": keras.optimizers.SGD(0.1),
        "discriminator_optimizer": keras.optimizers.SGD(0.2),
        "mapping": mapping,
    }
    gan.compile(**{**defaults, **compile_arguments})
    return gan


@pytest.fixture
def data(rng):
    return (rng.normal(size=(64, 2)) + 1.0).astype("float32")
