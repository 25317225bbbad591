"""Deep convolutional GANs for small images (Radford et al., 2016)."""

from collections.abc import Sequence

import keras
from keras import layers

from keras_monoflow.arguments import check_integer
from keras_monoflow.networks import conditional
from keras_monoflow.networks import convolutions as conv
from keras_monoflow.networks.arguments import (
    check_classes,
    check_image_shape,
    seed_stream,
)
from keras_monoflow.networks.outputs import float32, logits


def dcgan_generator(
    latent_dim: int = 100,
    image_shape: Sequence[int] = (28, 28, 1),
    filters: int | None = None,
    stages: int = 2,
    blocks: str = "dcgan",
    batch_norm: bool = True,
    classes: int | None = None,
    seed: int | None = None,
    name: str = "generator",
) -> keras.Model:
    """Builds the generator of a DCGAN.

    A dense layer makes `filters * 2 ** (stages - 1)` feature maps of
    `image_shape / 2 ** stages` pixels. Every stage doubles their height and
    width and halves their number; the last one gives the channels of the
    image. ReLUs stand between, `tanh` at the end. Weights are drawn
    from N(0, 0.02²), the scales of the batch normalization from N(1, 0.02²).

    There are two kinds of blocks, of similar size with their default widths:

    - `"dcgan"`: the paper's transposed 4x4 convolutions with stride 2. With
      `image_shape=(32, 32, 3), stages=3, filters=128` this is the CIFAR-10
      generator of the authors of MonoFlow. (Their MNIST generator makes 32x32
      pixels and crops them; here it starts from 7x7.)
    - `"depth_to_space"`: 3x3 convolutions with stride 1, whose channels are
      rearranged into pixels (Shi et al., 2016, arXiv 1609.05158). On a CPU XLA
      compiles strided and transposed convolutions to slow code, so that this
      is the kind to take there on JAX.

    Args:
        latent_dim: Integer, the size of the latent vectors. Defaults to `100`.
        image_shape: Three integers `(height, width, channels)`, height and
            width in pixels and divisible by `2 ** stages`. Defaults to
            `(28, 28, 1)`.
        filters: Integer, the feature maps before the last stage. Defaults to
            `None`: 64 for `"dcgan"` and 48 for `"depth_to_space"`.
        stages: Integer, how often the height and width double. Defaults to
            `2`.
        blocks: `"dcgan"` or `"depth_to_space"`. Defaults to `"dcgan"`.
        batch_norm: Boolean, whether to normalize all feature maps but the
            image. The layers have biases only without it. Defaults to `True`.
        classes: Integer, the number of classes, for a generator that sees
            labels: a `LabelEmbedding` of `min(classes, 64)` numbers is appended
            to the latent vector. Defaults to `None`, no labels.
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
            entries or cannot be halved `stages` times, if `blocks` is unknown
            or the seed below 0.

    Source: Radford et al. 2016, arXiv 1511.06434, section 3.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    generator = kmf.networks.dcgan_generator(image_shape=(32, 32, 3), seed=0)
    print(generator(np.zeros((4, 100))).shape)  # (4, 32, 32, 3)
    ```
    """
    latent_dim = check_integer("latent_dim", latent_dim, minimum=1)
    filters, stages = _check_sizes(filters, stages, blocks)
    height, width, channels = check_image_shape(image_shape, stages)
    classes = check_classes(classes)
    seeds = seed_stream(seed, "dcgan_generator")

    latents = keras.Input((latent_dim,))
    inputs, labels = conditional.with_labels(latents, classes)
    x = conditional.append_embedding(latents, labels, classes, seeds)
    maps = filters * 2 ** (stages - 1)
    base = (height // 2**stages, width // 2**stages, maps)
    x = layers.Dense(
        base[0] * base[1] * maps,
        use_bias=not batch_norm,
        kernel_initializer=conv.normal(seeds),
    )(x)
    x = layers.Reshape(base)(x)
    for stage in reversed(range(stages)):
        if batch_norm:
            x = conv.batch_norm(x, seeds)
        x = layers.ReLU()(x)
        maps = filters * 2 ** (stage - 1) if stage else channels
        x = conv.upsample(x, maps, blocks, not batch_norm, seeds)
    return keras.Model(inputs, float32(x, "tanh"), name=name)


def dcgan_discriminator(
    image_shape: Sequence[int] = (28, 28, 1),
    filters: int | None = None,
    stages: int = 2,
    blocks: str = "dcgan",
    batch_norm: bool = False,
    negative_slope: float = 0.2,
    classes: int | None = None,
    seed: int | None = None,
    name: str = "discriminator",
) -> keras.Model:
    """Builds the discriminator of a DCGAN.

    Every stage halves the height and width and, after the first, doubles the
    number of feature maps; leaky ReLUs follow, and a dense layer gives
    one number, the logit. The weights are drawn as in `dcgan_generator`, whose
    docstring describes the two kinds of blocks (here the 4x4 convolutions with
    stride 2 are plain ones, and pixels are rearranged into channels).

    The paper normalizes the feature maps of all stages but the first. This is
    off by default: with batch statistics the output for one image depends
    on the others, and then a penalty on the gradient of each sample and the
    velocity of each sample are not defined. With
    `image_shape=(32, 32, 3), stages=3, batch_norm=True` this is the CIFAR-10
    discriminator of the authors of MonoFlow.

    Args:
        image_shape: Three integers `(height, width, channels)`, height and
            width in pixels and divisible by `2 ** stages`. Defaults to
            `(28, 28, 1)`.
        filters: Integer, the feature maps after the first stage. Defaults to
            `None`: 64 for `"dcgan"` and 48 for `"depth_to_space"`.
        stages: Integer, how often the height and width are halved. Defaults
            to `2`.
        blocks: `"dcgan"` or `"depth_to_space"`. Defaults to `"dcgan"`.
        batch_norm: Boolean, whether to normalize the feature maps of all
            stages but the first. The layers have biases only without it.
            Defaults to `False`.
        negative_slope: Number, the slope of the leaky ReLUs below 0. Defaults
            to `0.2`.
        classes: Integer, the number of classes, for a projection
            discriminator, whose output is a `ProjectionOutput`. Defaults to
            `None`, no labels.
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
            entries or cannot be halved `stages` times, if `blocks` is unknown
            or the seed below 0.

    Source: Radford et al. 2016, arXiv 1511.06434, section 3.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    discriminator = kmf.networks.dcgan_discriminator((32, 32, 3), seed=0)
    print(discriminator(np.zeros((4, 32, 32, 3))).shape)  # (4, 1)
    ```
    """
    filters, stages = _check_sizes(filters, stages, blocks)
    shape = check_image_shape(image_shape, stages)
    classes = check_classes(classes)
    seeds = seed_stream(seed, "dcgan_discriminator")

    x = keras.Input(shape)
    inputs, labels = conditional.with_labels(x, classes)
    for stage in range(stages):
        maps = filters * 2**stage
        x = conv.downsample(x, maps, blocks, not batch_norm, seeds)
        if batch_norm and stage > 0:
            x = conv.batch_norm(x, seeds)
        x = layers.LeakyReLU(negative_slope=negative_slope)(x)
    x = layers.Flatten(data_format="channels_last")(x)
    outputs = logits(
        x,
        labels,
        classes,
        lambda: conv.normal(seeds),
        use_bias=not batch_norm,
    )
    return keras.Model(inputs, outputs, name=name)


def _check_sizes(
    filters: int | None, stages: int, blocks: str
) -> tuple[int, int]:
    conv.check_blocks(blocks)
    if filters is None:
        filters = conv.DEFAULT_FILTERS[blocks]
    return check_integer("filters", filters, minimum=1), check_integer(
        "stages", stages, minimum=1
    )
