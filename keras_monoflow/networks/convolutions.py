"""Layers that double or halve the height and width of feature maps."""

import keras
from keras import layers

# Both kinds have about as many weights at these widths.
DEFAULT_FILTERS = {"dcgan": 64, "depth_to_space": 48}


def check_blocks(blocks):
    """Raise an error unless `blocks` names a kind of blocks."""
    if blocks not in DEFAULT_FILTERS:
        raise ValueError(
            f"`blocks` must be one of {sorted(DEFAULT_FILTERS)}. "
            f"Received: blocks={blocks!r}"
        )


def normal(seeds, mean=0.0):
    """Return an initialiser N(mean, 0.02²), as in Radford et al. (2016)."""
    return keras.initializers.RandomNormal(mean, 0.02, seed=next(seeds))


def batch_norm(x, seeds):
    """Normalise with the settings of torch, `gamma` drawn from N(1, 0.02²)."""
    return layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, gamma_initializer=normal(seeds, 1.0)
    )(x)


def upsample(x, filters, blocks, use_bias, seeds):
    """Double the height and width of `x` and give it `filters` channels."""
    options = _convolution_options(use_bias, seeds)
    if blocks == "dcgan":
        return layers.Conv2DTranspose(filters, 4, strides=2, **options)(x)
    x = layers.Conv2D(4 * filters, 3, **options)(x)
    return keras.ops.depth_to_space(x, 2, data_format="channels_last")


def downsample(x, filters, blocks, use_bias, seeds):
    """Halve the height and width of `x` and give it `filters` channels."""
    options = _convolution_options(use_bias, seeds)
    if blocks == "dcgan":
        return layers.Conv2D(filters, 4, strides=2, **options)(x)
    x = keras.ops.space_to_depth(x, 2, data_format="channels_last")
    return layers.Conv2D(filters, 3, **options)(x)


def _convolution_options(use_bias, seeds):
    return {
        "padding": "same",
        "use_bias": use_bias,
        "kernel_initializer": normal(seeds),
        "data_format": "channels_last",
    }
