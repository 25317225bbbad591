"""Multi-layer perceptrons for data in a few dimensions."""

import math
from collections.abc import Callable, Sequence

import keras
from keras import layers

from keras_monoflow.arguments import check_integer
from keras_monoflow.networks import conditional
from keras_monoflow.networks.arguments import Seeds, check_classes, seed_stream
from keras_monoflow.networks.outputs import float32, logits
from keras_monoflow.typing import Tensor


def mlp_generator(
    latent_dim: int,
    output_dim: int,
    units: Sequence[int] = (64, 64, 64),
    negative_slope: float = 0.2,
    classes: int | None = None,
    seed: int | None = None,
    name: str = "generator",
) -> keras.Model:
    """Builds a generator of points: dense layers with leaky ReLUs between.

    Hidden layer `i` is `x_i = leaky_relu(W_i x_{i-1} + b_i)`, starting from
    the latent vector, and the output `W x_n + b`. Weights *and biases* are
    drawn uniformly from `±1 / sqrt(fan_in)`. With the defaults of Keras, Glorot
    weights and zero biases, the ReLUs of the first layer all bend at the
    origin at first, and flows in two dimensions take longer.

    Args:
        latent_dim: Integer, the size of the latent vectors.
        output_dim: Integer, the size of the generated points.
        units: Integers, the widths of the hidden layers; may be empty.
            Defaults to `(64, 64, 64)`.
        negative_slope: Number, the slope of the leaky ReLUs below 0. Defaults
            to `0.2`.
        classes: Integer, the number of classes, for a generator that sees
            labels: a `LabelEmbedding` of `min(classes, 64)` numbers is appended
            to the latent vector. Defaults to `None`, no labels.
        seed: Integer, at least 0, or `None`. An integer gives the same weights
            at every call. Defaults to `None`, new weights (the same ones after
            the same `keras.utils.set_random_seed`).
        name: String, the name of the model. Defaults to `"generator"`.

    Returns:
        A built `keras.Model` from `(batch, latent_dim)`, or with `classes`
        from a list of that and integer labels `(batch,)`, to float32
        `(batch, output_dim)`, without an output activation. Labels outside of
        `0, ..., classes - 1` give NaN.

    Raises:
        TypeError: If a size or the seed is not an integer.
        ValueError: If a size is below 1 or the seed below 0.

    Source: the initialization is that of `torch.nn.Linear`.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    generator = kmf.networks.mlp_generator(latent_dim=2, output_dim=2, seed=0)
    print(generator(np.zeros((5, 2))).shape)  # (5, 2)
    ```
    """
    latent_dim = check_integer("latent_dim", latent_dim, minimum=1)
    output_dim = check_integer("output_dim", output_dim, minimum=1)
    classes = check_classes(classes)
    seeds = seed_stream(seed, "mlp_generator")
    latents = keras.Input((latent_dim,))
    inputs, labels = conditional.with_labels(latents, classes)
    x = conditional.append_embedding(latents, labels, classes, seeds)
    x = _hidden_layers(x, units, negative_slope, seeds)
    outputs = float32(_uniform_dense(x, output_dim, seeds))
    return keras.Model(inputs, outputs, name=name)


def mlp_discriminator(
    input_dim: int,
    units: Sequence[int] = (64, 64, 64),
    negative_slope: float = 0.2,
    classes: int | None = None,
    seed: int | None = None,
    name: str = "discriminator",
) -> keras.Model:
    """Builds a discriminator, or critic, of points.

    The layers and the law of their weights are those of `mlp_generator`.

    Args:
        input_dim: Integer, the size of the points.
        units: Integers, the widths of the hidden layers; may be empty.
            Defaults to `(64, 64, 64)`.
        negative_slope: Number, the slope of the leaky ReLUs below 0. Defaults
            to `0.2`.
        classes: Integer, the number of classes, for a projection
            discriminator, whose output is a `ProjectionOutput`. Defaults to
            `None`, no labels.
        seed: Integer, at least 0, or `None`. An integer gives the same weights
            at every call, none of which `mlp_generator` draws with the same
            seed. Defaults to `None`, new weights (the same ones after the same
            `keras.utils.set_random_seed`).
        name: String, the name of the model. Defaults to `"discriminator"`.

    Returns:
        A built `keras.Model` from `(batch, input_dim)`, or with `classes` from
        a list of that and integer labels `(batch,)`, to float32 `(batch, 1)`,
        without an output activation. Labels outside of `0, ..., classes - 1`
        give NaN.

    Raises:
        TypeError: If a size or the seed is not an integer.
        ValueError: If a size is below 1 or the seed below 0.

    Source: with labels Miyato and Koyama 2018, arXiv 1802.05637, eq. 3.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    discriminator = kmf.networks.mlp_discriminator(input_dim=2, seed=0)
    print(discriminator(np.zeros((5, 2))).shape)  # (5, 1)
    ```
    """
    input_dim = check_integer("input_dim", input_dim, minimum=1)
    classes = check_classes(classes)
    seeds = seed_stream(seed, "mlp_discriminator")
    points = keras.Input((input_dim,))
    inputs, labels = conditional.with_labels(points, classes)
    x = _hidden_layers(points, units, negative_slope, seeds)
    if classes is None:
        outputs = float32(_uniform_dense(x, 1, seeds))
    else:
        uniform = _uniform(x, seeds)
        outputs = logits(
            x, labels, classes, uniform, bias_initializer=uniform()
        )
    return keras.Model(inputs, outputs, name=name)


def _hidden_layers(
    x: Tensor, units: Sequence[int], negative_slope: float, seeds: Seeds
) -> Tensor:
    if not hasattr(units, "__iter__"):
        raise TypeError(
            "`units` must be the widths of the hidden layers, such as "
            f"`(64, 64)`. Received: units={units!r}"
        )
    for width in units:
        x = _uniform_dense(x, check_integer("units", width, minimum=1), seeds)
        x = layers.LeakyReLU(negative_slope=negative_slope)(x)
    return x


def _uniform_dense(x: Tensor, units: int, seeds: Seeds) -> Tensor:
    """Applies a dense layer with weights and biases in `±1 / sqrt(fan_in)`."""
    uniform = _uniform(x, seeds)
    return layers.Dense(
        units, kernel_initializer=uniform(), bias_initializer=uniform()
    )(x)


def _uniform(
    x: Tensor, seeds: Seeds
) -> Callable[[], keras.initializers.Initializer]:
    """Returns a function that returns initializers in `±1 / sqrt(fan_in)`."""
    bound = 1.0 / math.sqrt(x.shape[-1])
    return lambda: keras.initializers.RandomUniform(-bound, bound, next(seeds))
