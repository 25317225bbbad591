"""Residual networks for images (Gulrajani et al. 2017, Miyato et al. 2018)."""

from collections.abc import Callable, Sequence

import keras
from keras import layers, ops

from keras_monoflow.arguments import check_integer
from keras_monoflow.networks import conditional
from keras_monoflow.networks.arguments import (
    check_classes,
    check_image_shape,
    check_widths,
    seed_stream,
)
from keras_monoflow.networks.conditional_batch_norm import (
    ConditionalBatchNormalization,
)
from keras_monoflow.networks.outputs import float32, logits
from keras_monoflow.networks.residual import (
    convolution,
    discriminator_block,
    glorot,
    upsampling_block,
)
from keras_monoflow.networks.spectral import seed_power_iterations
from keras_monoflow.typing import Tensor

POOLINGS = {"mean": ops.mean, "sum": ops.sum}


def resnet_generator(
    latent_dim: int = 128,
    image_shape: Sequence[int] = (32, 32, 3),
    filters: int | Sequence[int] = 256,
    stages: int = 3,
    batch_norm: bool = True,
    classes: int | None = None,
    seed: int | None = None,
    name: str = "generator",
) -> keras.Model:
    """Builds the generator of SNGAN or WGAN-GP, a residual network.

    A dense layer makes feature maps of `image_shape / 2 ** stages` pixels.
    Every stage is a residual block that doubles their height and width:
    normalization, ReLU, nearest upsampling, a 3x3 convolution, normalization,
    ReLU, a 3x3 convolution, and a shortcut of a 1x1 convolution around them.
    Normalization, ReLU, a 3x3 convolution and `tanh` make the image. With the
    defaults this is the CIFAR-10 generator of SNGAN, and with `filters=128`
    the one of WGAN-GP, but for biases that have no effect.

    All convolutions have stride 1, which every backend runs well on a CPU.

    Args:
        latent_dim: Integer, the size of the latent vectors. Defaults to `128`.
        image_shape: Three integers `(height, width, channels)`, height and
            width in pixels and divisible by `2 ** stages`. Defaults to
            `(32, 32, 3)`.
        filters: Integer, the feature maps of all stages, or a list of
            `stages` integers from the smallest maps to the largest, such as
            `(512, 256, 128, 64)` for 64x64 pixels. Defaults to `256`.
        stages: Integer, how often the height and width double. Defaults to
            `3`.
        batch_norm: Boolean, whether to normalize batches. The convolutions of
            the blocks have biases only without it. Defaults to `True`.
        classes: Integer, the number of classes, for a generator that sees
            labels, or `None`. The blocks then have conditional batch
            normalization; without `batch_norm`, an embedding of the label is
            appended to the latent vector. Defaults to `None`.
        seed: Integer, at least 0, or `None`. An integer gives the same weights
            at every call. Defaults to `None`, new weights (the same ones after
            the same `keras.utils.set_random_seed`).
        name: String, the name of the model. Defaults to `"generator"`.

    Returns:
        A built `keras.Model` from `(batch, latent_dim)`, or with `classes`
        from a list of that and integer labels `(batch,)`, to float32 images
        `(batch, height, width, channels)` with values in `[-1, 1]`. Labels
        outside of `0, ..., classes - 1` give NaN.

    Raises:
        TypeError: If a size or the seed is not an integer.
        ValueError: If a size is below 1, if `image_shape` does not have three
            entries or cannot be halved `stages` times, if there is not one
            width for each stage, or if the seed is below 0.

    Source: Miyato et al. 2018, arXiv 1802.05957, table 4; Gulrajani et al.,
    arXiv 1704.00028; with labels Miyato and Koyama 2018, arXiv 1802.05637.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    generator = kmf.networks.resnet_generator(filters=64, classes=10, seed=0)
    images = generator([np.zeros((4, 128)), np.arange(4)])
    print(images.shape)  # (4, 32, 32, 3)
    ```
    """
    latent_dim = check_integer("latent_dim", latent_dim, minimum=1)
    stages = check_integer("stages", stages, minimum=1)
    widths = check_widths(filters, stages)
    height, width, channels = check_image_shape(image_shape, stages)
    classes = check_classes(classes)
    seeds = seed_stream(seed, "resnet_generator")

    x = keras.Input((latent_dim,))
    inputs, labels = conditional.with_labels(x, classes)
    if not batch_norm:
        x = conditional.append_embedding(x, labels, classes, seeds)
    base = (height // 2**stages, width // 2**stages, widths[0])
    x = layers.Dense(
        base[0] * base[1] * base[2], kernel_initializer=glorot(seeds)
    )(x)
    x = layers.Reshape(base)(x)
    normalize = _normalization(batch_norm, classes, labels)
    for maps in widths:
        x = upsampling_block(x, maps, normalize, not batch_norm, seeds)
    # The last normalization knows no labels, as in the authors' code.
    x = layers.ReLU()(_normalization(batch_norm)(x))
    x = convolution(x, channels, 3, seeds)
    return keras.Model(inputs, float32(x, "tanh"), name=name)


def _normalization(
    batch_norm: bool, classes: int | None = None, labels: Tensor | None = None
) -> Callable[[Tensor], Tensor]:
    """Returns a function that normalizes feature maps with a new layer."""
    if not batch_norm:
        return lambda x: x
    if classes is not None:
        return lambda x: ConditionalBatchNormalization(classes)([x, labels])
    options = {"momentum": 0.9, "epsilon": 1e-5}
    return lambda x: layers.BatchNormalization(**options)(x)


def resnet_discriminator(
    image_shape: Sequence[int] = (32, 32, 3),
    filters: int | Sequence[int] = 128,
    stages: int = 2,
    flat_blocks: int = 2,
    pooling: str = "sum",
    spectral_normalization: bool = False,
    classes: int | None = None,
    seed: int | None = None,
    name: str = "discriminator",
) -> keras.Model:
    """Builds the discriminator of SNGAN or WGAN-GP, a residual network.

    Every stage is a residual block that halves the height and width: ReLU,
    a 3x3 convolution, ReLU, a 3x3 convolution, average pooling, and a shortcut
    of a 1x1 convolution around them (no ReLU at the image). After `flat_blocks`
    blocks that keep the size, a ReLU and pooling over all pixels, a dense
    layer gives one number, the logit. There is no batch normalization: the
    output for a sample depends on that sample alone.

    `spectral_normalization=True` is the CIFAR-10 discriminator of SNGAN, and
    `pooling="mean"` the one of WGAN-GP, which a gradient penalty should go
    with; but for biases that have no effect. The spectra are normalized by
    `keras.layers.SpectralNormalization`: a training pass divides each kernel by
    an estimate of its largest singular value, which some passes make exact.

    Args:
        image_shape: Three integers `(height, width, channels)`, height and
            width in pixels and divisible by `2 ** stages`. Defaults to
            `(32, 32, 3)`.
        filters: Integer, the feature maps of all blocks, or a list of
            `stages` integers from the largest maps to the smallest; the last
            one is the width of the flat blocks too. Defaults to `128`.
        stages: Integer, how often the height and width are halved. Defaults
            to `2`.
        flat_blocks: Integer, the blocks that follow and keep the size, at
            least 0. Defaults to `2`.
        pooling: `"sum"` or `"mean"`, what to take over the pixels. Defaults to
            `"sum"`.
        spectral_normalization: Boolean, whether to divide all kernels by
            their largest singular values. Defaults to `False`.
        classes: Integer, the number of classes, for a projection
            discriminator, whose output is a `ProjectionOutput`, or `None`.
            Defaults to `None`.
        seed: Integer, at least 0, or `None`. An integer gives the same weights
            at every call. Defaults to `None`, new weights (the same ones after
            the same `keras.utils.set_random_seed`).
        name: String, the name of the model. Defaults to `"discriminator"`.

    Returns:
        A built `keras.Model` from images `(batch, height, width, channels)`, or
        with `classes` from a list of these and integer labels `(batch,)`, to
        float32 logits `(batch, 1)`. Labels outside of `0, ..., classes - 1`
        give NaN.

    Raises:
        TypeError: If a size or the seed is not an integer.
        ValueError: If a size is below 1, if `image_shape` does not have three
            entries or cannot be halved `stages` times, if there is not one
            width for each stage, if `pooling` is unknown or the seed below 0.

    Source: Miyato et al. 2018, arXiv 1802.05957, table 4; Gulrajani et al.,
    arXiv 1704.00028; with labels Miyato and Koyama 2018, arXiv 1802.05637.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    discriminator = kmf.networks.resnet_discriminator(
        filters=32, spectral_normalization=True, classes=10, seed=0
    )
    logits = discriminator([np.zeros((4, 32, 32, 3)), np.arange(4)])
    print(logits.shape)  # (4, 1)
    ```
    """
    stages = check_integer("stages", stages, minimum=1)
    flat_blocks = check_integer("flat_blocks", flat_blocks, minimum=0)
    widths = check_widths(filters, stages)
    shape = check_image_shape(image_shape, stages)
    if pooling not in POOLINGS:
        raise ValueError(
            f'`pooling` must be "sum" or "mean". Received: pooling={pooling!r}'
        )
    classes = check_classes(classes)
    seeds = seed_stream(seed, "resnet_discriminator")

    spectral = bool(spectral_normalization)
    x = keras.Input(shape)
    inputs, labels = conditional.with_labels(x, classes)
    for i, maps in enumerate(widths + widths[-1:] * flat_blocks):
        x = discriminator_block(x, maps, i < stages, i == 0, spectral, seeds)
    x = POOLINGS[pooling](float32(x, "relu"), axis=(1, 2))
    outputs = logits(
        x,
        labels,
        classes,
        lambda: glorot(seeds),
        spectral,
        dtype="float32",
    )
    model = keras.Model(inputs, outputs, name=name)
    if spectral and seed is not None:
        seed_power_iterations(model, seeds)
    return model
