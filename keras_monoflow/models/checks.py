"""Checks that stop bad input before any time is spent on it."""

import warnings

import keras
import numpy as np
from keras import ops

from keras_monoflow.naming import lookup


def check_network(network, argument):
    """Checks that a network is a built Keras model."""
    if not isinstance(network, keras.Layer):
        raise TypeError(
            f"`{argument}` must be a `keras.Model`. Received: "
            f"{argument}={network!r}."
        )
    if not network.built:
        raise ValueError(
            f"`{argument}` must be built, so that its shapes and weights are "
            f"known. Received the unbuilt {network.name!r}. Start it with "
            "`keras.Input(shape)`, or call it once on a batch."
        )


def input_shape(network, role):
    """Returns the shape of one sample that a network takes, without labels."""
    shape = getattr(network, "input_shape", None)
    if isinstance(shape, list) and len(shape) == 2:
        shape = shape[0]
    if not isinstance(shape, tuple) or None in shape[1:]:
        raise ValueError(
            f"`{role}` must take one input of a known shape, or two if the "
            "second are labels. Received: "
            f"{network.name!r} with input shape {shape!r}. Build it with "
            "`keras.Input(shape)`."
        )
    return shape[1:]


def label_shape(network):
    """Returns the shape of one label that a network takes, or `None`."""
    shape = getattr(network, "input_shape", None)
    return shape[1][1:] if isinstance(shape, list) else None


def check_conditional(generator, others):
    """Checks that all networks take the same labels, or none."""
    shape = label_shape(generator)
    for role, network in others.items():
        if label_shape(network) != shape:
            raise ValueError(
                "Either all networks take labels as a second input, of one "
                f"shape, or none. `generator` takes labels of shape {shape}, "
                f"`{role}` of shape {label_shape(network)}."
            )


def check_unconditional(network, role, owner):
    """Checks that a network takes samples alone."""
    if label_shape(network) is not None:
        raise ValueError(
            f"{owner} is unconditional, but `{role}` takes labels. Pass one "
            "that takes samples alone."
        )


def check_shapes(generator, discriminator, role):
    """Checks that generated samples fit the discriminator."""
    generated = tuple(generator.output_shape[1:])
    expected = tuple(input_shape(discriminator, role))
    fits = len(generated) == len(expected) and all(
        b is None or a == b for a, b in zip(generated, expected)
    )
    if not fits:
        raise ValueError(
            f"`generator` makes samples of shape {generated}, but "
            f"`{role}` takes inputs of shape {expected}. They must be equal."
        )


def check_one_output(network, role):
    """Checks that a network returns one number for each sample."""
    output = tuple(network.output_shape)
    if output[1:] not in ((), (1,)):
        raise ValueError(
            f"`{role}` must return one number for each sample, of shape "
            f"(batch, 1) or (batch,). Received: output shape {output}. End it "
            "with `Dense(1)` and no activation."
        )


def check_step_size(value):
    """Checks for a positive number or a schedule."""
    if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        return value
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not (value > 0 and np.isfinite(value)):
        raise ValueError(
            "`step_size` must be a positive number, in the units of the data, "
            "or a `keras.optimizers.schedules` object. Received: "
            f"step_size={value!r}."
        )
    return float(value)


def check_share(argument, value):
    """Checks for a number in (0, 1], unless it is a schedule."""
    if isinstance(value, (int, float)) and not 0 < value <= 1:
        raise ValueError(
            f"`{argument}` must lie in (0, 1]: it is the share of its way to "
            f"the data that a sample goes in a round. Received: "
            f"{argument}={value!r}."
        )


def check_different(potential, conjugate):
    """Checks that two networks are not one."""
    if potential is conjugate:
        raise ValueError(
            "`potential` and `conjugate` must be two networks. Received the "
            f"same one twice: {potential.name!r}."
        )


def check_temperature(value):
    """Checks for a number that is not negative."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not (value >= 0 and np.isfinite(value)):
        raise ValueError(
            "`temperature` must be a number of at least 0, the size of the "
            f"noise, 0 for none. Received: temperature={value!r}."
        )
    return float(value)


UPDATES = ("persistent", "naive", "proximal")


def check_update(update):
    """Checks the name of a generator update."""
    if not isinstance(update, str):
        raise TypeError(
            f"`update` must be one of {', '.join(UPDATES)}. Received: "
            f"update={update!r}."
        )
    return lookup(update, dict(zip(UPDATES, UPDATES)), "update")


def is_registered(thing):
    """Returns whether Keras can find a function or class again by name."""
    module = getattr(thing, "__module__", "") or ""
    registered = keras.saving.get_registered_name(thing) != _name_of(thing)
    return registered or module.split(".")[0] == "keras"


def check_registered(thing, argument):
    """Warns if a function or class cannot be saved."""
    if not is_registered(thing):
        warnings.warn(
            f"The {argument} {_name_of(thing)!r} is not registered, so the "
            "model cannot be saved as a whole. Decorate it with "
            "`@keras.saving.register_keras_serializable()`.",
            stacklevel=3,
        )


def _name_of(thing):
    return getattr(thing, "__name__", type(thing).__name__)


def first_batch(x, batch_size):
    """Returns the first rows of arrays and of `PyDataset`s, else `None`.

    Streams are left alone: looking at them would consume their state.
    """
    if isinstance(x, keras.utils.PyDataset):
        return samples_of(x[0])
    if is_array(x):
        return np.asarray(ops.convert_to_numpy(x[:batch_size]))
    return None


def smallest_batch(x, batch_size):
    """Returns the size of the smallest batch of an epoch, or `None`."""
    if isinstance(x, keras.utils.PyDataset):
        batches = x.num_batches
        return len(samples_of(x[batches - 1])) if batches else None
    if is_array(x):
        return len(x) % batch_size or batch_size
    return None


def is_array(x):
    return hasattr(x, "shape") and hasattr(x, "__getitem__")


def samples_of(batch):
    batch = batch[0] if isinstance(batch, (tuple, list)) else batch
    return ops.convert_to_numpy(batch)


def check_data(x, sample_shape, batch_size, argument="x"):
    """Checks shape, finiteness and range of the first batch.

    Returns:
        Whether the data look like images in 0..255.
    """
    batch = first_batch(x, batch_size)
    if batch is None or batch.dtype == object:
        return False
    if batch.shape[1:] != tuple(sample_shape) and None not in sample_shape:
        raise ValueError(
            f"`{argument}` has samples of shape {batch.shape[1:]}, but the "
            f"discriminator takes {tuple(sample_shape)}."
        )
    if batch.dtype.kind == "f" and not np.isfinite(batch).all():
        bad = batch[~np.isfinite(batch)][0]
        raise ValueError(
            f"`{argument}` has {bad} among its first {len(batch)} samples. "
            "They must be finite: remove or replace these values."
        )
    in_bytes = batch.min() >= 0 and 1.0 < batch.max() <= 255
    whole = batch.dtype.kind in "iu" or np.all(batch == np.round(batch))
    return bool(batch.ndim >= 3 and in_bytes and whole)


def check_split(size, steps, role):
    """Checks that a batch of `size` samples can be cut into `steps` slices."""
    if size < steps:
        raise ValueError(
            f"`split_batch=True` cuts each batch into {role}_steps={steps} "
            f"slices, but a batch has {size} samples. Raise "
            "`batch_size`, or drop the ragged last batch."
        )


def check_labels(y, conditional, owner):
    """Checks that there are labels if and only if the networks take them."""
    if y is not None and not conditional:
        raise ValueError(
            f"{owner} is unconditional here, since its networks take no "
            "labels, but the data come with labels. Pass `fit(x)` the samples "
            "alone, for example `dataset.map(lambda x, y: x)`, or networks "
            "that take `[z, y]` and `[x, y]`."
        )
    if y is None and conditional:
        raise ValueError(
            f"{owner} is conditional here, since its networks take labels, "
            "but the data come without. Pass `fit(x, y)`, or a data set of "
            "pairs."
        )


def check_label_range(y, networks):
    """Checks integer labels against the classes that the networks know.

    Labels out of range would give NaN, or rows of other classes.
    """
    y = np.asarray(ops.convert_to_numpy(y))
    classes = [
        layer.classes
        for network in networks
        for layer in network._flatten_layers()
        if isinstance(getattr(layer, "classes", None), int)
    ]
    if not classes or y.dtype.kind not in "iu":
        return
    bad = y[(y < 0) | (y >= min(classes))]
    if bad.size:
        raise ValueError(
            f"`y` must have labels from 0 to {min(classes) - 1}, for the "
            f"{min(classes)} classes of the networks. Received: {bad[0]}."
        )


def check_unweighted(weight, owner):
    """Checks that no sample weights come with the data."""
    if weight is not None:
        raise ValueError(
            f"{owner} takes no sample weights: pass the samples, and labels "
            "if the networks take them."
        )


def check_decay(value):
    """Checks the decay of a moving average, or `None`."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is not None and not (number and 0 < value < 1):
        raise ValueError(
            "`ema` must lie between 0 and 1, for example 0.999, or be None "
            f"for no averaged generator. Received: ema={value!r}."
        )
    return value


IN_BYTES = (
    "The images look like integers in 0..255. Generators that end in tanh make "
    "values in [-1, 1]: scale the data with `x / 127.5 - 1`."
)
