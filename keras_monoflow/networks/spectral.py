"""Spectral normalization of layers, on request and from a seed."""

import keras
from keras import layers

from keras_monoflow.backend.keras_internals import layers_of
from keras_monoflow.networks.arguments import Seeds


def normalize_spectrum(layer: keras.Layer, enabled: bool) -> keras.Layer:
    """Returns the layer, wrapped in spectral normalization if `enabled`.

    The wrapper divides the kernel in place at every training pass. In float32
    whatever the policy: in half precision that would round the kernel, and
    the small updates of an optimizer would be lost.
    """
    if not enabled:
        return layer
    return layers.SpectralNormalization(layer, name=layer.name, dtype="float32")


def seed_power_iterations(model: keras.Model, seeds: Seeds) -> None:
    """Draws the start vectors of all power iterations from `seeds`.

    The wrapper of Keras draws them without a seed.
    """
    for layer in layers_of(model):
        if isinstance(layer, layers.SpectralNormalization):
            normal = keras.initializers.RandomNormal(seed=next(seeds))
            layer.vector_u.assign(normal(layer.vector_u.shape))
