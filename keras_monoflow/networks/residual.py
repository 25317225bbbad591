"""Residual blocks that double or halve the height and width."""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from keras_monoflow.networks.arguments import Seeds
from keras_monoflow.networks.spectral import normalize_spectrum
from keras_monoflow.typing import Tensor


def convolution(
    x: Tensor,
    filters: int,
    size: int,
    seeds: Seeds,
    spectral: bool = False,
    **options: Any,
) -> Tensor:
    """Convolves with stride 1.

    Inside blocks (3x3) the variance is twice that of Glorot and Bengio (2010),
    since a ReLU goes before; shortcuts (1x1) have theirs.
    """
    scale = 2.0 if size > 1 else 1.0
    layer = layers.Conv2D(
        filters,
        size,
        padding="same",
        data_format="channels_last",
        kernel_initializer=glorot(seeds, scale),
        **options,
    )
    return normalize_spectrum(layer, spectral)(x)


def glorot(seeds: Seeds, scale: float = 1.0) -> keras.initializers.Initializer:
    """Returns the initializer of Glorot and Bengio, its variance scaled."""
    return keras.initializers.VarianceScaling(
        scale, "fan_avg", "uniform", seed=next(seeds)
    )


def upsampling_block(
    x: Tensor,
    filters: int,
    normalize: Callable[[Tensor], Tensor],
    use_bias: bool,
    seeds: Seeds,
) -> Tensor:
    """Doubles the height and width of `x` and gives it `filters` channels.

    Args:
        x: Feature maps `(batch, height, width, channels)`.
        filters: Integer, the channels of the result.
        normalize: Function from feature maps to normalized ones.
        use_bias: Boolean, whether the convolutions have biases.
        seeds: Iterator of seeds.
    """
    h = _upsample(layers.ReLU()(normalize(x)))
    h = convolution(h, filters, 3, seeds, use_bias=use_bias)
    h = layers.ReLU()(normalize(h))
    h = convolution(h, filters, 3, seeds, use_bias=use_bias)
    # Upsampling after the 1x1 convolution gives the same for a quarter of
    # the work. The bias of the other branch does for both.
    shortcut = convolution(x, filters, 1, seeds, use_bias=False)
    return layers.Add()([h, _upsample(shortcut)])


def discriminator_block(
    x: Tensor,
    filters: int,
    halve: bool,
    first: bool,
    spectral: bool,
    seeds: Seeds,
) -> Tensor:
    """Gives `x` `filters` channels, and half the height and width if `halve`.

    Args:
        x: Feature maps or images `(batch, height, width, channels)`.
        filters: Integer, the channels of the result.
        halve: Boolean, whether to pool 2x2 pixels.
        first: Boolean, whether `x` are images, which no ReLU may cut.
        spectral: Boolean, whether to normalize the spectra of the kernels.
        seeds: Iterator of seeds.
    """
    channels = x.shape[-1]
    h = x if first else layers.ReLU()(x)
    hidden = filters if first else channels
    h = layers.ReLU()(convolution(h, hidden, 3, seeds, spectral))
    h = convolution(h, filters, 3, seeds, spectral)
    h = _halve(h) if halve else h
    shortcut = _halve(x) if halve else x
    if halve or channels != filters:
        # Pooling first gives the same for a quarter of the work.
        shortcut = convolution(
            shortcut, filters, 1, seeds, spectral, use_bias=False
        )
    return layers.Add()([h, shortcut])


def _upsample(x: Tensor) -> Tensor:
    return layers.UpSampling2D(2, data_format="channels_last")(x)


def _halve(x: Tensor) -> Tensor:
    return layers.AveragePooling2D(2, data_format="channels_last")(x)
