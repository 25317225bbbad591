"""Networks for images or signals as conditions: U-Nets and patches."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

from keras_monoflow.arguments import check_integer
from keras_monoflow.networks.arguments import Seeds, seed_stream
from keras_monoflow.networks.outputs import float32
from keras_monoflow.typing import Tensor


def unet_generator(
    source_shape: Sequence[int] = (32, 32, 1),
    channels: int = 1,
    filters: int = 32,
    stages: int = 3,
    activation: str = "tanh",
    seed: int | None = None,
    name: str = "generator",
) -> keras.Model:
    """Builds a U-Net, from images to images or from signals to signals.

    Every stage on the way down halves the sides with a convolution of size 4
    and stride 2, and doubles the feature maps; on the way up they are doubled
    by repetition and convolved, and what has the same size on the way down is
    appended. Instance normalization follows every convolution but the first,
    the innermost and the last.

    Args:
        source_shape: `(height, width, channels)` of images, or `(length,
            channels)` of signals, the sides divisible by `2 ** stages`.
            Defaults to `(32, 32, 1)`.
        channels: Integer, those of the result. Defaults to `1`.
        filters: Integer, the feature maps of the first stage. Defaults to `32`.
        stages: Integer, how often the sides are halved. Defaults to `3`.
        activation: Name of the last activation. Defaults to `"tanh"`.
        seed: Integer, at least 0, or `None`. An integer gives the same weights
            at every call. Defaults to `None`.
        name: String, the name of the model. Defaults to `"generator"`.

    Returns:
        A built `keras.Model` from sources to float32 results of the same sides,
        for a model with `prior=None`.

    Raises:
        TypeError: If a size or the seed is not an integer.
        ValueError: If a size is below 1, or a side cannot be halved so often.

    Source: Isola et al. 2017 (pix2pix), arXiv 1611.07004, section 3.2.

    Example:

    ```python
    import keras_monoflow as kmf

    generator = kmf.networks.unet_generator((28, 28, 1), stages=2, filters=8)
    print(generator.output_shape)  # (None, 28, 28, 1)
    ```
    """
    channels = check_integer("channels", channels, minimum=1)
    shape = _check_shape("source_shape", source_shape, stages)
    filters = check_integer("filters", filters, minimum=1)
    seeds = seed_stream(seed, "unet_generator")
    sides = len(shape) - 1

    x = source = keras.Input(shape)
    skipped: list[Tensor] = []
    for stage in range(stages):
        skipped.append(x)
        x = _convolution(sides, filters * 2**stage, 4, seeds, strides=2)(x)
        if 0 < stage < stages - 1:
            x = layers.GroupNormalization(groups=-1)(x)
        x = layers.LeakyReLU(0.2)(x)
    for stage in reversed(range(stages)):
        x = _upsampling(sides)(x)
        if stage:
            x = _convolution(sides, filters * 2 ** (stage - 1), 3, seeds)(x)
            x = layers.ReLU()(layers.GroupNormalization(groups=-1)(x))
        x = layers.Concatenate()([x, skipped[stage]])
    x = _convolution(sides, channels, 3, seeds)(x)
    return keras.Model(source, float32(x, activation), name=name)


def patch_discriminator(
    sample_shape: Sequence[int] = (32, 32, 1),
    condition_shape: Sequence[int] | None = None,
    filters: int = 32,
    stages: int = 2,
    seed: int | None = None,
    name: str = "discriminator",
) -> keras.Model:
    """Builds a discriminator that judges patches of images or signals.

    Every stage halves the sides with a convolution of size 4 and stride 2 and
    doubles the feature maps; one more of size 4 gives a logit for each place,
    which has seen `3 * 2 ** (stages + 1) - 2` pixels of each side: 22 with two
    stages, 46 with three. Nothing is normalized, so that penalties on the
    gradients of single samples are defined.

    Args:
        sample_shape: `(height, width, channels)` of images, or `(length,
            channels)` of signals, the sides divisible by `2 ** stages`.
            Defaults to `(32, 32, 1)`.
        condition_shape: The same of conditions of equal sides, such as the
            source of a translation; they are stacked with the samples.
            Defaults to `None`, no conditions.
        filters: Integer, the feature maps of the first stage. Defaults to `32`.
        stages: Integer, how often the sides are halved. Defaults to `2`.
        seed: Integer, at least 0, or `None`. An integer gives the same weights
            at every call. Defaults to `None`.
        name: String, the name of the model. Defaults to `"discriminator"`.

    Returns:
        A built `keras.Model` from samples, or from a list of samples and
        conditions, to float32 logits `(batch, height / 2 ** stages,
        width / 2 ** stages, 1)`, or `(batch, length / 2 ** stages, 1)`.

    Raises:
        TypeError: If a size or the seed is not an integer.
        ValueError: If a size is below 1, or the sides do not fit.

    Source: Isola et al. 2017 (pix2pix), arXiv 1611.07004, section 3.2.2.

    Example:

    ```python
    import keras_monoflow as kmf

    discriminator = kmf.networks.patch_discriminator((64, 2), filters=8)
    print(discriminator.output_shape)  # (None, 16, 1)
    ```
    """
    shape = _check_shape("sample_shape", sample_shape, stages)
    filters = check_integer("filters", filters, minimum=1)
    seeds = seed_stream(seed, "patch_discriminator")
    sides = len(shape) - 1

    inputs: Any = keras.Input(shape)
    x = inputs
    if condition_shape is not None:
        condition = _check_shape("condition_shape", condition_shape, stages)
        if condition[:-1] != shape[:-1]:
            raise ValueError(
                "`condition_shape` must have the sides of the samples. "
                f"Received: sample_shape={shape}, condition_shape={condition}"
            )
        inputs = [inputs, keras.Input(condition)]
        x = layers.Concatenate()(inputs)
    for stage in range(stages):
        x = _convolution(sides, filters * 2**stage, 4, seeds, strides=2)(x)
        x = layers.LeakyReLU(0.2)(x)
    x = _convolution(sides, 1, 4, seeds)(x)
    return keras.Model(inputs, float32(x), name=name)


def multi_scale(
    discriminator: Callable[[tuple[int, ...]], keras.Model],
    sample_shape: Sequence[int],
    scales: int = 2,
    name: str = "discriminator",
) -> keras.Model:
    """Builds a discriminator that looks at samples in several sizes.

    The first network sees the samples, the next ones what average pooling by
    2, 4, ... leaves of them. They start from other weights each, unless the
    function passes a seed on: then most of theirs are the same.

    Args:
        discriminator: Function from the shape of one sample to a new, built
            discriminator, such as `kmf.networks.patch_discriminator`.
        sample_shape: `(height, width, channels)` or `(length, channels)`, the
            sides divisible by `2 ** (scales - 1)`.
        scales: Integer, how many networks. Defaults to `2`.
        name: String, the name of the model. Defaults to `"discriminator"`.

    Returns:
        A built `keras.Model` from samples to a list of what the networks
        return; `head_weights` of `compile` weighs them.

    Raises:
        TypeError: If a size is not an integer.
        ValueError: If a size is below 1, or a side cannot be halved so often.

    Source: Wang et al. 2018 (pix2pixHD), arXiv 1711.11585, section 3.2.

    Example:

    ```python
    import keras_monoflow as kmf

    discriminator = kmf.networks.multi_scale(
        lambda shape: kmf.networks.patch_discriminator(shape, filters=8),
        (32, 32, 1),
    )
    print(discriminator.output_shape)  # [(None, 8, 8, 1), (None, 4, 4, 1)]
    ```
    """
    scales = check_integer("scales", scales, minimum=1)
    shape = _check_shape("sample_shape", sample_shape, scales - 1)
    x = sample = keras.Input(shape)
    outputs = []
    for scale in range(scales):
        if scale:
            x = _pooling(len(shape) - 1)(x)
        network = discriminator(x.shape[1:])
        # (Two of one name cannot be saved.)
        network.name = f"{network.name}_{scale}"
        outputs.append(network(x))
    return keras.Model(sample, outputs, name=name)


def _check_shape(
    argument: str, shape: Sequence[int], stages: int
) -> tuple[int, ...]:
    stages = check_integer("stages", stages, minimum=0)
    sizes = tuple(check_integer(argument, s, minimum=1) for s in shape)
    factor = 2**stages
    if len(sizes) not in (2, 3) or any(s % factor for s in sizes[:-1]):
        raise ValueError(
            f"`{argument}` must be (height, width, channels) or (length, "
            f"channels), with sides that {factor} divides. Received: "
            f"{argument}={tuple(shape)}"
        )
    return sizes


def _convolution(
    sides: int, filters: int, size: int, seeds: Seeds, strides: int = 1
) -> layers.Layer:
    kind = layers.Conv2D if sides == 2 else layers.Conv1D
    return kind(
        filters,
        size,
        strides,
        padding="same",
        data_format="channels_last",
        kernel_initializer=keras.initializers.VarianceScaling(
            2 / (1 + 0.2**2), "fan_in", "untruncated_normal", seed=next(seeds)
        ),
    )


def _upsampling(sides: int) -> layers.Layer:
    if sides == 1:
        return layers.UpSampling1D(2)
    return layers.UpSampling2D(2, data_format="channels_last")


def _pooling(sides: int) -> layers.Layer:
    kind = layers.AveragePooling2D if sides == 2 else layers.AveragePooling1D
    return kind(2, data_format="channels_last")
