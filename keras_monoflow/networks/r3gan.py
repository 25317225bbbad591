"""The residual networks of R3GAN, which normalize nothing."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

from keras_monoflow.arguments import check_integer
from keras_monoflow.networks import conditional
from keras_monoflow.networks.arguments import (
    Seeds,
    check_classes,
    check_image_shape,
    check_widths,
    seed_stream,
)
from keras_monoflow.networks.minibatch_standard_deviation import (
    MinibatchStandardDeviation,
)
from keras_monoflow.networks.outputs import float32, logits
from keras_monoflow.typing import Tensor

SLOPE = 0.2


def r3gan_generator(
    latent_dim: int = 64,
    image_shape: Sequence[int] = (32, 32, 3),
    filters: int | Sequence[int] = 128,
    stages: int = 4,
    blocks: int = 2,
    group_width: int = 16,
    classes: int | None = None,
    seed: int | None = None,
    name: str = "generator",
) -> keras.Model:
    """Builds the generator of R3GAN.

    A learned constant of `image_shape / 2 ** (stages - 1)` pixels, its channels
    scaled by a dense layer of the latent vector, goes through `stages` of
    `blocks` residual blocks each. Between stages the height and width double
    by bilinear interpolation; a 1x1 convolution makes the image at the end.

    A block adds to its input, of `n` channels, a 1x1 convolution to `2 n`, a
    3x3 one of groups of `group_width`, and a 1x1 one back to `n`, with leaky
    ReLUs between them. Nothing is normalized. Instead the last convolution of
    each block starts at 0 and the others are small ("fix-up", Zhang et al.
    2019, arXiv 1901.09321), so that at the start every block is the identity.

    With `filters=768` this is the authors' generator of CIFAR-10. Convolutions
    in groups are slow in XLA on a CPU (TensorFlow, JAX): with
    `group_width=2 * filters` there is one group, which is more arithmetic.

    Args:
        latent_dim: Integer, the size of the latent vectors. Defaults to `64`.
        image_shape: Three integers `(height, width, channels)`, height and
            width in pixels and divisible by `2 ** (stages - 1)`: from 28 pixels
            with three stages to 64 with five. Defaults to `(32, 32, 3)`.
        filters: Integer, the feature maps, or one for each stage, the coarsest
            first. Defaults to `128`.
        stages: Integer, the number of resolutions. Defaults to `4`.
        blocks: Integer, the residual blocks of a stage. Defaults to `2`.
        group_width: Integer that divides `2 * filters`, the channels of a
            group in the 3x3 convolutions. Defaults to `16`, as the authors'.
        classes: Integer, the number of classes, for a generator that sees
            labels: an embedding is appended to the latent vector. Defaults to
            `None`, no labels.
        seed: Integer, at least 0, or `None`. An integer gives the same weights
            at every call. Defaults to `None`.
        name: String, the name of the model. Defaults to `"generator"`.

    Returns:
        A built `keras.Model` from `(batch, latent_dim)`, or with `classes`
        from a list of that and integer labels `(batch,)`, to float32 images
        `(batch, height, width, channels)`. No activation keeps them in a range.

    Raises:
        TypeError: If a size or the seed is not an integer.
        ValueError: If a size is below 1 or does not divide what it must.

    Source: Huang et al. 2024, arXiv 2501.05441, section 4, and the authors'
    code.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    generator = kmf.networks.r3gan_generator(
        image_shape=(28, 28, 1), filters=32, stages=3, seed=0
    )
    print(generator(np.zeros((4, 64))).shape)  # (4, 28, 28, 1)
    ```
    """
    latent_dim = check_integer("latent_dim", latent_dim, minimum=1)
    widths, block = _check_sizes(filters, stages, blocks, group_width)
    height, width, channels = check_image_shape(
        image_shape, stages, halvings=stages - 1
    )
    classes = check_classes(classes)
    seeds = seed_stream(seed, "r3gan_generator")

    latents = keras.Input((latent_dim,))
    inputs, labels = conditional.with_labels(latents, classes)
    x = conditional.append_embedding(latents, labels, classes, seeds)
    x = layers.Dense(
        widths[0], use_bias=False, kernel_initializer=_normal(1.0, seeds)
    )(x)
    base = (height // 2 ** (stages - 1), width // 2 ** (stages - 1), widths[0])
    x = layers.EinsumDense(
        "bc,hwc->bhwc",
        output_shape=base,
        kernel_initializer=keras.initializers.RandomNormal(
            stddev=1.0, seed=next(seeds)
        ),
        name="constant",
    )(x)
    for stage, maps in enumerate(widths):
        if stage:
            x = _upsample(_project(x, maps, seeds))
        for _ in range(blocks):
            x = block(x, seeds)
    x = _convolution(x, channels, 1, 1.0, seeds, use_bias=False)
    return keras.Model(inputs, float32(x), name=name)


def r3gan_discriminator(
    image_shape: Sequence[int] = (32, 32, 3),
    filters: int | Sequence[int] = 128,
    stages: int = 4,
    blocks: int = 2,
    group_width: int = 16,
    minibatch_std: bool = False,
    classes: int | None = None,
    seed: int | None = None,
    name: str = "discriminator",
) -> keras.Model:
    """Builds the discriminator of R3GAN.

    The mirror image of `r3gan_generator`, whose docstring describes the blocks:
    a 1x1 convolution of the image, and `stages` of `blocks` residual blocks,
    between which the height and width are halved. Each of the last feature
    maps is multiplied with a learned one and summed, and a dense layer gives
    one number, the logit.

    Args:
        image_shape: Three integers `(height, width, channels)`, height and
            width in pixels and divisible by `2 ** (stages - 1)`. Defaults to
            `(32, 32, 3)`.
        filters: Integer, the feature maps, or one for each stage, the finest
            first. Defaults to `128`.
        stages: Integer, the number of resolutions. Defaults to `4`.
        blocks: Integer, the residual blocks of a stage. Defaults to `2`.
        group_width: As in `r3gan_generator`. Defaults to `16`.
        minibatch_std: Boolean, whether the last feature maps get another one
            that tells how much the batch varies; see
            `MinibatchStandardDeviation`. The authors have none. Defaults to
            `False`.
        classes: Integer, the number of classes, for a projection
            discriminator, whose output is a `ProjectionOutput`. Defaults to
            `None`, no labels.
        seed: Integer, at least 0, or `None`. An integer gives the same weights
            at every call. Defaults to `None`.
        name: String, the name of the model. Defaults to `"discriminator"`.

    Returns:
        A built `keras.Model` from images `(batch, height, width, channels)`, or
        with `classes` from a list of these and integer labels `(batch,)`, to
        float32 logits `(batch, 1)`.

    Raises:
        TypeError: If a size or the seed is not an integer.
        ValueError: If a size is below 1 or does not divide what it must.

    Source: Huang et al. 2024, arXiv 2501.05441, section 4, and the authors'
    code.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    discriminator = kmf.networks.r3gan_discriminator(
        image_shape=(28, 28, 1), filters=32, stages=3, seed=0
    )
    print(discriminator(np.zeros((4, 28, 28, 1))).shape)  # (4, 1)
    ```
    """
    widths, block = _check_sizes(filters, stages, blocks, group_width)
    shape = check_image_shape(image_shape, stages, halvings=stages - 1)
    classes = check_classes(classes)
    seeds = seed_stream(seed, "r3gan_discriminator")

    images = keras.Input(shape)
    inputs, labels = conditional.with_labels(images, classes)
    x = _convolution(images, widths[0], 1, 1.0, seeds, use_bias=False)
    for stage, maps in enumerate(widths):
        if stage:
            x = _project(_downsample(x), maps, seeds)
        for _ in range(blocks):
            x = block(x, seeds)
    if minibatch_std:
        x = MinibatchStandardDeviation()(x)
    pixels = x.shape[1] * x.shape[2]
    x = layers.EinsumDense(
        "bhwc,hwc->bc",
        output_shape=x.shape[3:],
        kernel_initializer=keras.initializers.RandomNormal(
            stddev=1 / math.sqrt(pixels), seed=next(seeds)
        ),
        name="constant",
    )(x)
    outputs = logits(
        x, labels, classes, lambda: _normal(1.0, seeds), use_bias=False
    )
    return keras.Model(inputs, outputs, name=name)


def _check_sizes(
    filters: int | Sequence[int], stages: int, blocks: int, group_width: int
) -> tuple[list[int], Callable[[Tensor, Seeds], Tensor]]:
    """Returns the width of each stage, and the block of these networks."""
    stages = check_integer("stages", stages, minimum=1)
    blocks = check_integer("blocks", blocks, minimum=1)
    group_width = check_integer("group_width", group_width, minimum=1)
    widths = check_widths(filters, stages)
    for width in widths:
        if 2 * width % group_width:
            raise ValueError(
                "`group_width` must divide `2 * filters`. Received: "
                f"group_width={group_width}, filters={filters!r}"
            )
    # That of He et al. before leaky ReLUs, less in deep networks.
    variance = 2 / (1 + SLOPE**2) / math.sqrt(stages * blocks)

    def block(x: Tensor, seeds: Seeds) -> Tensor:
        maps = x.shape[-1]
        h = _convolution(x, 2 * maps, 1, variance, seeds)
        h = layers.LeakyReLU(SLOPE)(h)
        groups = 2 * maps // group_width
        h = _convolution(h, 2 * maps, 3, variance, seeds, groups=groups)
        h = layers.LeakyReLU(SLOPE)(h)
        h = _convolution(h, maps, 1, 0.0, seeds, use_bias=False)
        return layers.Add()([x, h])

    return widths, block


def _convolution(
    x: Tensor,
    maps: int,
    size: int,
    variance: float,
    seeds: Seeds,
    **options: Any,
) -> Tensor:
    return layers.Conv2D(
        maps,
        size,
        padding="same",
        data_format="channels_last",
        kernel_initializer=_normal(variance, seeds),
        **options,
    )(x)


def _normal(variance: float, seeds: Seeds) -> keras.initializers.Initializer:
    """Normal weights whose outputs have `variance` times that of the inputs."""
    seed = next(seeds)
    if variance == 0.0:
        return keras.initializers.Zeros()
    return keras.initializers.VarianceScaling(
        variance, "fan_in", "untruncated_normal", seed=seed
    )


def _project(x: Tensor, maps: int, seeds: Seeds) -> Tensor:
    """Gives `x` that many channels, by a 1x1 convolution if it has others."""
    if x.shape[-1] == maps:
        return x
    return _convolution(x, maps, 1, 1.0, seeds, use_bias=False)


def _upsample(x: Tensor) -> Tensor:
    return _blur(layers.UpSampling2D(2, data_format="channels_last")(x))


def _downsample(x: Tensor) -> Tensor:
    return layers.AveragePooling2D(2, data_format="channels_last")(_blur(x))


def _blur(x: Tensor) -> Tensor:
    """Convolves with [1 2 1] / 4 in both directions; with doubling or halving
    this is [1 3 3 1], bilinear interpolation."""
    x = layers.ZeroPadding2D(1, data_format="channels_last")(x)
    for _ in range(2):
        x = layers.AveragePooling2D(2, strides=1, data_format="channels_last")(
            x
        )
    return x
