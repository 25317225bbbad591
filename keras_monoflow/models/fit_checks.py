"""What `fit` checks before the first round, beside its data."""

import os
import string
from typing import Any

import keras
import numpy as np

from keras_monoflow import files
from keras_monoflow.arguments import check_integer
from keras_monoflow.models import data_checks, label_checks, weight_checks
from keras_monoflow.models.fitting import as_list
from keras_monoflow.models.monitors import MONITORS

#: Where the callbacks come from whose logs are known.
_PACKAGES = ("keras", "keras_monoflow")

_RATES = (
    keras.callbacks.LearningRateScheduler,
    keras.callbacks.ReduceLROnPlateau,
)


#: Arguments of `keras.Model.compile` that Keras takes as they are.
TRAINER_ARGUMENTS = ("jit_compile", "steps_per_execution", "run_eagerly")

#: Arguments of it that have no meaning for a flow.
FOREIGN_ARGUMENTS = ("loss", "metrics", "weighted_metrics", "loss_weights")


def check_trainer_arguments(owner: str, arguments: dict[str, Any]) -> None:
    """Checks the further arguments of `compile`, those of Keras.

    Args:
        owner: Whose `compile` it is.
        arguments: What it was given beside its own arguments. Those that are
            `None` and have no meaning are taken out.

    Raises:
        TypeError: If there are others, or one is of another type.
        ValueError: If one has no meaning for a flow, or is out of range.
    """
    for name in FOREIGN_ARGUMENTS:
        if arguments.pop(name, None) is not None:
            raise ValueError(
                f"`{name}` is not an argument of {owner}.compile: flows "
                "compare two batches. To judge samples, use "
                "`keras_monoflow.metrics`."
            )
    for name, given in arguments.items():
        if name not in TRAINER_ARGUMENTS:
            raise TypeError(
                f"{owner}.compile has no argument `{name}`. Received: "
                f"{name}={given!r}."
            )
    if "steps_per_execution" in arguments:
        value = arguments["steps_per_execution"]
        check_integer("steps_per_execution", value, minimum=1)
    value = arguments.get("jit_compile")
    if value not in (None, True, False, "auto"):
        raise ValueError(
            '`jit_compile` must be True, False or "auto". Received: '
            f"jit_compile={value!r}."
        )


def check_validation_data(
    model: Any, validation_data: Any, batch_size: int
) -> None:
    """Checks held-out data as the data themselves are checked.

    Args:
        model: A compiled model.
        validation_data: The argument of `fit`, or what it held back.
        batch_size: That of `fit`.

    Raises:
        TypeError: If it is not a kind of data.
        ValueError: If the samples or labels do not fit.
    """
    if validation_data is None:
        return
    x, y, weight = keras.utils.unpack_x_y_sample_weight(validation_data)
    if not hasattr(x, "__iter__") or isinstance(x, (str, bytes)):
        raise TypeError(
            "`validation_data` must be an array, a pair of samples and labels, "
            "or a data set. Received: validation_data="
            f"{validation_data!r}."
        )
    try:
        if weight is not None:
            model.check_takes_weights()
            weight_checks.check_weights(weight)
        _check_samples(model, x, y, batch_size)
    except ValueError as error:
        raise ValueError(f"`validation_data`: {error}") from error


def _check_samples(model, x, y, batch_size):
    shape = model.sample_shape
    owner = type(model).__name__
    spec = getattr(x, "element_spec", None)  # of a `tf.data.Dataset`
    weight = None
    if isinstance(x, keras.utils.PyDataset):
        x, y, weight = keras.utils.unpack_x_y_sample_weight(x[0])
    elif spec is not None:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(spec)
    if weight is not None and not model.conditional:
        y = None
    if spec is not None:
        label_checks.check_labels(y, model.conditional, owner)
        if tuple(x.shape[1:]) != shape and None not in x.shape[1:]:
            raise ValueError(
                f"The data set has samples of shape {tuple(x.shape[1:])}, but "
                f"those of the {model.sample_owner} have {shape}."
            )
    if not data_checks.is_array(x) or spec is not None:
        return
    label_checks.check_labels(y, model.conditional, owner)
    if y is not None:
        label_checks.check_label_range(y, model._networks())
    data_checks.check_data(x, shape, model.sample_owner, batch_size)
    check_finite(x, batch_size)


def check_finite(x: Any, batch_size: int) -> None:
    """Checks all rows of an array in memory, beyond the first batch."""
    if not isinstance(x, np.ndarray) or isinstance(x, np.memmap):
        return
    if x.dtype.kind != "f":
        return
    for start in range(batch_size, len(x), 4096):
        rows = x[start : start + 4096]
        finite = np.isfinite(rows.reshape(len(rows), -1)).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            raise ValueError(
                f"`x` has NaN or infinite values in row {row}. They must be "
                "finite: remove or replace these values."
            )


# --------------------------------------------------------------- callbacks


def check_callbacks(model: Any, callbacks: Any, validates: bool) -> None:
    """Checks what callbacks of Keras would find out after an epoch.

    Args:
        model: A compiled model.
        callbacks: The argument of `fit`.
        validates: Whether there are validation data.

    Raises:
        TypeError: If something is not a callback.
        ValueError: If a log or a key in the name of a file does not exist, a
            file could not be loaded, or two callbacks measure samples.
        OSError: If a folder cannot be written.
    """
    callbacks = as_list(callbacks)
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise TypeError(
                "`callbacks` must be a `keras.callbacks.Callback` or a list of "
                f"them. Received: {callback!r}, of type "
                f"{type(callback).__name__}."
            )
    _check_one_measures(callbacks)
    logs = _known_logs(model, callbacks, validates)
    for callback in callbacks:
        if isinstance(callback, _RATES) and not model._trained_networks():
            raise ValueError(
                f"`{type(callback).__name__}` changes learning rates, and "
                f"this {type(model).__name__} has no network that learns. Pass "
                "a `keras.optimizers.schedules` object as `step_size`."
            )
        if isinstance(callback, keras.callbacks.ModelCheckpoint):
            _check_checkpoint(model, callback, logs)
        if isinstance(callback, keras.callbacks.BackupAndRestore):
            folder = callback.backup_dir
            files.check_folder(folder, type(callback).__name__, remote=True)
        if isinstance(callback, MONITORS):
            _check_monitor(callback, logs)


def _check_one_measures(callbacks):
    names = [
        type(callback).__name__
        for callback in callbacks
        if getattr(callback, "measures_samples", False)
    ]
    if len(names) > 1:
        raise ValueError(
            "`callbacks` must have one callback that measures samples, as "
            "`evaluate` returns the values of one. Pass one "
            "`DistributionMetrics` with a list of all metrics. Received: "
            f"{', '.join(names)}."
        )


def _known_logs(model, callbacks, validates):
    """Returns the names of all logs, or `None` where others may add some."""
    names = [metric.name for metric in model.metrics]
    if validates:
        names += [f"val_{name}" for name in names]
    for callback in callbacks:
        if not _is_known_class(callback):
            return None
        if hasattr(callback, "log_names"):
            names += callback.log_names(model)
    return names if _is_known_class(model) else None


def _is_known_class(thing):
    if isinstance(thing, keras.callbacks.LambdaCallback):
        return False
    return type(thing).__module__.split(".")[0] in _PACKAGES


def _check_checkpoint(model, callback, logs):
    path = callback.filepath
    if not callback.save_weights_only:
        model.check_savable(path)
    folder = os.path.dirname(path)
    if "{" not in folder:
        files.check_folder(folder, type(callback).__name__, remote=True)
    if logs is None:
        return
    known = ["epoch", *(["batch"] if callback.save_freq != "epoch" else [])]
    for _, key, _, _ in string.Formatter().parse(path):
        if key and not _is_known(key, [*known, *logs]):
            raise ValueError(
                f"The file name {path!r} of `{type(callback).__name__}` has "
                f"the unknown key {key!r}. Known are: "
                f"{', '.join([*known, *logs])}."
            )


def _check_monitor(callback, logs):
    name, monitor = type(callback).__name__, callback.monitor
    acts = getattr(callback, "save_best_only", True)
    if acts and logs is not None and not _is_known(monitor, logs):
        raise ValueError(
            f"`{name}` monitors {monitor!r}, which is not a log of this "
            f"training. The logs are: {', '.join(logs)}."
        )
    # Keras finds this out after the first epoch.
    if callback.mode == "auto" and monitor.removeprefix("val_") != "loss":
        raise ValueError(
            f"`{name}` monitors {monitor!r}, of which Keras does not know "
            'whether less or more is better. Pass `mode="min"` or '
            '`mode="max"`.'
        )


def _is_known(name, logs):
    # Schedulers of Keras add the rates.
    return name in logs or name.startswith("learning_rate")
