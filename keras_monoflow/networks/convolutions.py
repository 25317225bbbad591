"""Layers that double or halve the height and width of feature maps."""

from typing import Any

import keras
from keras import layers

from keras_monoflow.networks.arguments import Seeds
from keras_monoflow.typing import Tensor

# Both kinds have about as many weights at these widths.
DEFAULT_FILTERS = {"dcgan": 64, "depth_to_space": 48}


def check_blocks(blocks: str) -> None:
    """Raises an error unless `blocks` names a kind of blocks."""
    if blocks not in DEFAULT_FILTERS:
        raise ValueError(
            f"`blocks` must be one of {sorted(DEFAULT_FILTERS)}. "
            f"Received: blocks={blocks!r}"
        )


def normal(seeds: Seeds, mean: float = 0.0) -> keras.initializers.Initializer:
    """Returns an initializer N(mean, 0.02²), as in Radford et al. (2016)."""
    return keras.initializers.RandomNormal(mean, 0.02, seed=next(seeds))


def batch_norm(x: Tensor, seeds: Seeds) -> Tensor:
    """Normalizes with the settings of torch, `gamma` drawn from N(1, 0.02²)."""
    return layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, gamma_initializer=normal(seeds, 1.0)
    )(x)


def upsample(
    x: Tensor, filters: int, blocks: str, use_bias: bool, seeds: Seeds
) -> Tensor:
    """Doubles the height and width of `x` and gives it `filters` channels."""
    options = _convolution_options(use_bias, seeds)
    if blocks == "dcgan":
        return layers.Conv2DTranspose(filters, 4, strides=2, **options)(x)
    x = layers.Conv2D(4 * filters, 3, **options)(x)
    return keras.ops.depth_to_space(x, 2, data_format="channels_last")


def downsample(
    x: Tensor, filters: int, blocks: str, use_bias: bool, seeds: Seeds
) -> Tensor:
    """Halves the height and width of `x` and gives it `filters` channels."""
    options = _convolution_options(use_bias, seeds)
    if blocks == "dcgan":
        return layers.Conv2D(filters, 4, strides=2, **options)(x)
    x = keras.ops.space_to_depth(x, 2, data_format="channels_last")
    return layers.Conv2D(filters, 3, **options)(x)


def _convolution_options(use_bias: bool, seeds: Seeds) -> dict[str, Any]:
    return {
        "padding": "same",
        "use_bias": use_bias,
        "kernel_initializer": normal(seeds),
        "data_format": "channels_last",
    }
