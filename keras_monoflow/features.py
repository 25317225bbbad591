"""Small networks whose features flows from samples can move in."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_monoflow.arguments import check_integer
from keras_monoflow.data import class_numbers
from keras_monoflow.metrics.base import as_samples, check_finite
from keras_monoflow.typing import Array, ArrayLike

__all__ = ["train_features"]

#: Images are halved until their shorter side is at most this.
_SMALL = 4


def train_features(
    x: ArrayLike,
    y: ArrayLike | None = None,
    units: int = 64,
    filters: int = 32,
    epochs: int = 5,
    batch_size: int = 128,
    seed: int = 0,
    verbose: Any = "auto",
) -> keras.Model:
    """Trains a small network on the data itself, and returns its features.

    For `SampleFlow(generator, features=...)`: distances between images mean
    more in them than between pixels, and nothing is downloaded. With labels it
    is a classifier, trained by the cross-entropy; without, an autoencoder,
    trained by the mean squared error.

    Images go through 3 x 3 convolutions of stride 2, with twice the filters
    each time, until their shorter side is at most 4; other samples through a
    dense layer. A dense layer of `units` follows. The activations are `silu`,
    which has a gradient everywhere.

    Args:
        x: Array `(n, *sample_shape)`, scaled as the generator's samples are.
        y: Integers `(n,)` or `(n, 1)`, the classes, or `None`.
        units: Integer, the size of the last features.
        filters: Integer, those of the first convolution.
        epochs: Integer, how long to train.
        batch_size: Integer, the rows of a batch.
        seed: Integer, the seed of the weights and of the order of the data.
        verbose: As in `keras.Model.fit`.

    Returns:
        A built `keras.Model` that is not trained further, from samples to two
        outputs: the last map of the convolutions (for other samples, the first
        dense layer), and the `units` features.

    Raises:
        TypeError: If a number or the labels are not integers.
        ValueError: If a number is below 1, `x` is empty or not finite, a class
            is negative, or `x` and `y` differ in length.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    x = np.random.default_rng(0).normal(size=(64, 8, 8, 1))
    features = kmf.features.train_features(x, epochs=1, verbose=0)
    [output.shape for output in features(x[:2])]  # (2, 4, 4, 32), (2, 64)
    ```
    """
    numbers = {
        "units": units,
        "filters": filters,
        "epochs": epochs,
        "batch_size": batch_size,
    }
    for name, value in numbers.items():
        check_integer(name, value, minimum=1)
    seed = check_integer("seed", seed, minimum=0)
    x = as_samples("x", x).astype("float32", copy=False)
    check_finite("x", x)
    seeds = iter(range(seed, seed + 100))
    features = _encoder(x.shape[1:], units, filters, seeds)
    if y is None:
        head, target, loss = _decoder(features, x.shape[1:], seeds), x, "mse"
    else:
        target = _classes(x, y)
        head = _dense(int(target.max()) + 1, seeds)(features.outputs[-1])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = keras.Model(features.inputs, head)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    order = np.random.default_rng(seed)
    for epoch in range(epochs):
        rows = order.permutation(len(x))
        model.fit(
            x[rows],
            target[rows],
            batch_size=batch_size,
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,
            verbose=verbose,
        )
    features.trainable = False
    return features


def _dense(
    units: int, seeds: Iterator[int], activation: str | None = None
) -> keras.Layer:
    weights = keras.initializers.GlorotUniform(next(seeds))
    return layers.Dense(units, activation, kernel_initializer=weights)


def _convolution(
    filters: int,
    seeds: Iterator[int],
    strides: int = 1,
    activation: str | None = "silu",
) -> keras.Layer:
    weights = keras.initializers.GlorotUniform(next(seeds))
    return layers.Conv2D(
        filters,
        3,
        strides,
        "same",
        data_format="channels_last",
        activation=activation,
        kernel_initializer=weights,
    )


def _encoder(
    shape: tuple[int, ...], units: int, filters: int, seeds: Iterator[int]
) -> keras.Model:
    x = keras.Input(shape)
    if len(shape) != 3:
        h = layers.Flatten(data_format="channels_last")(x)
        h = _dense(max(units, filters), seeds, "silu")(h)
    else:
        h, side = x, min(shape[:2])
        while side > _SMALL or h is x:
            h = _convolution(filters, seeds, strides=2)(h)
            filters, side = 2 * filters, -(-side // 2)
    last = _dense(units, seeds, "silu")(
        layers.Flatten(data_format="channels_last")(h)
    )
    return keras.Model(x, [h, last], name="features")


def _decoder(
    features: keras.Model, shape: tuple[int, ...], seeds: Iterator[int]
) -> Any:
    before, last = features.outputs
    size = before.shape[1:]
    h = _dense(int(np.prod(size)), seeds, "silu")(last)
    if len(shape) != 3:
        h = _dense(int(np.prod(shape)), seeds)(h)
        return layers.Reshape(shape)(h)
    h = layers.Reshape(size)(h)
    while h.shape[1] < shape[0] or h.shape[2] < shape[1]:
        h = layers.UpSampling2D(data_format="channels_last")(h)
        h = _convolution(max(8, h.shape[-1] // 2), seeds)(h)
    h = _convolution(shape[-1], seeds, activation=None)(h)
    height, width = (a - b for a, b in zip(h.shape[1:3], shape[:2]))
    return layers.Cropping2D(
        ((0, height), (0, width)), data_format="channels_last"
    )(h)


def _classes(x: Array, y: ArrayLike) -> Array:
    labels = class_numbers(y)
    if len(labels) != len(x):
        raise ValueError(
            "`x` and `y` must have as many rows. Received: "
            f"{len(x)} and {len(labels)}."
        )
    if labels.min() < 0:
        raise ValueError(
            "`y` must hold classes from 0 on. Received: a class "
            f"{labels.min()}."
        )
    return labels
