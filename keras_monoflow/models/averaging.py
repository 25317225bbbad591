"""A moving average of the generator's weights."""

from typing import Any

import keras
from keras import ops

from keras_monoflow.backend import keras_internals
from keras_monoflow.numerics import at_least_float32
from keras_monoflow.schedules import value_at
from keras_monoflow.typing import Tensor

#: The half-life of an average is at most this share of the samples seen.
RAMP_UP = 0.05


def decay_by_round(decay: Any, updates: Tensor) -> Tensor:
    """Returns `min(decay, (1 + t) / (10 + t))` in update `t`.

    The smaller decay at the beginning forgets the initial weights soon.

    Args:
        decay: Float between 0 and 1, or a schedule of the round.
        updates: Scalar float tensor `t`, counted from 0.
    """
    decay = value_at(decay, updates)
    return ops.minimum(decay, (1.0 + updates) / (10.0 + updates))


def decay_by_half_life(half_life: Any, updates: Tensor, rows: Any) -> Tensor:
    """Returns `2^(-n / h)`, with which half is forgotten in `h` samples.

    `h` is at most 5 % of the samples seen, as in StyleGAN2 (Karras et al. 2020,
    arXiv 1912.04958) and its successors.

    Args:
        half_life: Number of samples `h`, or a schedule of the round.
        updates: Scalar float tensor, counted from 0.
        rows: The number of samples `n` of a round.
    """
    half_life = value_at(half_life, updates)
    rows = ops.cast(rows, "float32")
    half_life = ops.minimum(half_life, RAMP_UP * rows * (updates + 1.0))
    return 2.0 ** (-rows / ops.maximum(half_life, 1e-8))


def average_step(
    average: keras.Model, network: keras.Model, decay: Tensor
) -> None:
    """Moves the weights of `average` towards those of `network`.

    All weights `w` and batch statistics go into the average,
    `a <- d a + (1 - d) w`.

    Args:
        average: A network of the same kind, whose weights change.
        network: The network that is trained.
        decay: Scalar float tensor `d`.
    """
    for mean, weight in zip(average.weights, network.weights):
        if keras.backend.is_float_dtype(weight.dtype):
            new, old = at_least_float32(weight), at_least_float32(mean)
            share = ops.cast(1.0 - decay, new.dtype)
            mean.assign(old + share * (new - old))
        else:
            mean.assign(weight)


def copy_network(network: keras.Model) -> keras.Model:
    """Returns a network of the same kind and weights that is not trained.

    Classes that are not registered, and functions in `Lambda` layers, are taken
    from the network itself.

    Raises:
        ValueError: If a layer cannot be made anew from its configuration, or
            keeps statistics that are not weights.
    """
    _check_buffers(network)
    classes = {
        type(layer).__name__: type(layer)
        for layer in keras_internals.layers_of(network)
    }
    try:
        copy = keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(network),
            custom_objects=classes,
            safe_mode=False,
        )
        if not copy.built or len(copy.weights) != len(network.weights):
            copy.build_from_config(network.get_build_config())
        copy.set_weights(network.get_weights())
    except Exception as error:
        raise ValueError(
            f"`ema` averages the weights in a copy of {network.name!r}, which "
            "could not be made. Give its layers a `get_config` with all their "
            "arguments, or leave out `ema`. The reason: "
            f"{type(error).__name__}: {error}"
        ) from error
    copy.trainable = False
    if inputs := getattr(copy, "inputs", None):
        # Keras writes no model that was never called to ONNX.
        copy(inputs if len(inputs) > 1 else inputs[0])
    return copy


def _check_buffers(network: keras.Model) -> None:
    """Checks that no module of `torch.nn` keeps statistics by itself."""
    for layer in keras_internals.layers_of(network):
        buffers = getattr(getattr(layer, "module", None), "named_buffers", None)
        names = [name for name, _ in buffers()] if buffers else []
        if names:
            raise ValueError(
                f"`ema` averages weights, and the module of {layer.name!r} "
                f"keeps numbers that are none: {', '.join(names)}. The average "
                "would never see them. Take the layer of Keras, such as "
                "`keras.layers.BatchNormalization`, or leave out `ema`."
            )
