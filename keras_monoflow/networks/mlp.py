"""Multi-layer perceptrons for data in a few dimensions."""

import math

import keras
from keras import layers

from keras_monoflow.arguments import check_integer
from keras_monoflow.networks._arguments import seed_stream


def mlp_generator(
    latent_dim,
    output_dim,
    units=(64, 64, 64),
    negative_slope=0.2,
    seed=None,
    name="generator",
):
    """Build a generator of points: dense layers with leaky ReLUs between.

    Weights *and biases* are drawn uniformly from `±1 / sqrt(fan_in)`, as torch
    does. With the defaults of Keras, Glorot weights and zero biases, all kinks
    of the first layer start at the origin, and flows in two dimensions take
    longer.

    Args:
        latent_dim: Integer, the size of the latent vectors.
        output_dim: Integer, the size of the generated points.
        units: Integers, the widths of the hidden layers; may be empty.
            Defaults to `(64, 64, 64)`.
        negative_slope: Number, the slope of the leaky ReLUs below 0. Defaults
            to `0.2`.
        seed: Integer, at least 0, or `None`. An integer gives the same weights
            at every call. Defaults to `None`, new weights (the same ones after
            the same `keras.utils.set_random_seed`).
        name: String, the name of the model. Defaults to `"generator"`.

    Returns:
        A built `keras.Model` from `(batch, latent_dim)` to float32
        `(batch, output_dim)`, without an output activation.

    Raises:
        TypeError: If a size or the seed is no integer.
        ValueError: If a size is below 1 or the seed below 0.

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
    seeds = seed_stream(seed, "mlp_generator")
    return _mlp(latent_dim, output_dim, units, negative_slope, seeds, name)


def mlp_discriminator(
    input_dim,
    units=(64, 64, 64),
    negative_slope=0.2,
    seed=None,
    name="discriminator",
):
    """Build a discriminator, or critic, of points.

    The weights and biases are drawn as in `mlp_generator`.

    Args:
        input_dim: Integer, the size of the points.
        units: Integers, the widths of the hidden layers; may be empty.
            Defaults to `(64, 64, 64)`.
        negative_slope: Number, the slope of the leaky ReLUs below 0. Defaults
            to `0.2`.
        seed: Integer, at least 0, or `None`. An integer gives the same weights
            at every call, none of which `mlp_generator` draws with the same
            seed. Defaults to `None`, new weights (the same ones after the same
            `keras.utils.set_random_seed`).
        name: String, the name of the model. Defaults to `"discriminator"`.

    Returns:
        A built `keras.Model` from `(batch, input_dim)` to float32
        `(batch, 1)`, without an output activation.

    Raises:
        TypeError: If a size or the seed is no integer.
        ValueError: If a size is below 1 or the seed below 0.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    discriminator = kmf.networks.mlp_discriminator(input_dim=2, seed=0)
    print(discriminator(np.zeros((5, 2))).shape)  # (5, 1)
    ```
    """
    input_dim = check_integer("input_dim", input_dim, minimum=1)
    seeds = seed_stream(seed, "mlp_discriminator")
    return _mlp(input_dim, 1, units, negative_slope, seeds, name)


def _mlp(input_dim, output_dim, units, negative_slope, seeds, name):
    inputs = keras.Input((input_dim,))
    x = inputs
    for width in units:
        x = _uniform_dense(x, check_integer("units", width, minimum=1), seeds)
        x = layers.LeakyReLU(negative_slope=negative_slope)(x)
    x = _uniform_dense(x, output_dim, seeds)
    # Losses and flows need float32 whatever the policy of the layers.
    outputs = layers.Activation("linear", dtype="float32")(x)
    return keras.Model(inputs, outputs, name=name)


def _uniform_dense(x, units, seeds):
    """Apply a dense layer with weights and biases in `±1 / sqrt(fan_in)`."""
    bound = 1.0 / math.sqrt(x.shape[-1])

    def uniform():
        return keras.initializers.RandomUniform(-bound, bound, next(seeds))

    return layers.Dense(
        units, kernel_initializer=uniform(), bias_initializer=uniform()
    )(x)
