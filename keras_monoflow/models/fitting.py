"""Callbacks that `fit` adds by itself, and the data that they look at."""

import math
import os
import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow.backend import keras_internals
from keras_monoflow.data import is_array
from keras_monoflow.models.monitors import MONITORS, skipping_unmeasured


class FirstBatchCheck(keras.callbacks.Callback):
    """Stops with an explanation if the very first batch gives NaN."""

    # It touches no state, so Keras need not wait for it after each batch.
    async_safe = True

    def __init__(self) -> None:
        super().__init__()
        self._checked = False

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if self._checked or not logs:
            return
        self._checked = True
        bad = [k for k, v in logs.items() if not np.isfinite(float(v))]
        if bad:
            raise ValueError(
                f"The first batch gave {', '.join(bad)} = NaN or infinity. "
                "Either the data `x` hold NaN or infinite values, or labels "
                "lie outside the classes that the networks know, or the "
                "weights that training started from are not finite, or the "
                "loss overflowed: look at the data first, then lower the "
                "learning rates."
            )


class SetEpoch(keras.callbacks.Callback):
    """Tells a data set which epoch begins."""

    def __init__(self, dataset: Any) -> None:
        super().__init__()
        self._dataset = dataset

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._dataset.set_epoch(epoch)


class ShowNaN(keras.callbacks.Callback):
    """Lets `keras.callbacks.TerminateOnNaN` see a NaN in any log.

    By itself it reads only `loss`, which adversarial models do not have.
    """

    def __init__(self, terminate: keras.callbacks.TerminateOnNaN) -> None:
        super().__init__()
        self._terminate = terminate

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        values = [float(value) for value in (logs or {}).values()]
        if not np.isfinite(values).all():
            self._terminate.on_train_batch_end(batch, {"loss": float("nan")})


class CheckBackups(keras.callbacks.Callback):
    """Warns if a backup of Keras was torn apart by a kill.

    Keras writes the weights to one file and the epoch to another. Weights that
    were written last belong to a later epoch than the one that is read.
    """

    def __init__(self, backups: list) -> None:
        super().__init__()
        self._backups = backups
        self._rounds_before = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._rounds_before = self._rounds()

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        backups, self._backups = self._backups, []
        steps = self.params.get("steps")
        if not backups or not steps:
            return
        # A program may train the model before the `fit` that was interrupted.
        trained = self._rounds()
        if epoch * steps in (trained, trained - self._rounds_before):
            return
        warnings.warn(
            f"The backup in {str(backups[0].backup_dir)!r} holds weights of "
            f"round {trained}, but says that epoch {epoch + 1} comes next, "
            f"before which there are {epoch * steps} rounds: either it was "
            "torn apart when the run was killed, or the size of the data or "
            "batches has changed. This run will not end like one that was not "
            "interrupted. `keras_monoflow.callbacks.BackupAndRestore` writes "
            "backups that no kill tears apart.",
            stacklevel=2,
        )

    def _rounds(self):
        return int(ops.convert_to_numpy(self.model.rounds_counter))


def _backups_of_keras(callbacks):
    """Those that will be restored, from the ends of epochs."""
    kind = keras.callbacks.BackupAndRestore
    return [
        c
        for c in callbacks
        if isinstance(c, kind)
        and not hasattr(c, "only_reads")
        and c.save_freq == "epoch"
        and os.path.exists(keras_internals.backup_file(c))
    ]


def is_stream(data: Any) -> bool:
    """Returns whether data can be read in their own order alone."""
    if isinstance(data, keras.utils.PyDataset):
        return data.num_batches is None
    return not is_array(data)


def callbacks_for(data: Any, callbacks: Any) -> Any:
    """Returns the user's callbacks with those that `fit` needs.

    Those that monitor a log skip the epochs in which it is not finite.

    Args:
        data: The `x` of `fit`.
        callbacks: The `callbacks` of `fit`: `None`, one, a list, or
            a `keras.callbacks.CallbackList`.
    """
    extra: list[keras.callbacks.Callback] = [FirstBatchCheck()]
    if backups := _backups_of_keras(as_list(callbacks)):
        extra.append(CheckBackups(backups))
    if hasattr(data, "set_epoch"):
        extra.append(SetEpoch(data))
    extra += [
        ShowNaN(c)
        for c in as_list(callbacks)
        if isinstance(c, keras.callbacks.TerminateOnNaN)
    ]
    callbacks = with_extra(callbacks, extra)
    found = getattr(callbacks, "callbacks", callbacks)
    found[:] = map(skipping_unmeasured, found)
    return callbacks


def with_extra(callbacks: Any, extra: list[keras.callbacks.Callback]) -> Any:
    """Returns the `callbacks` of `fit` with a list of others before them.

    Those that add to the logs come first, so that all others see what they
    added, and backups last, so that they hold what all others did. A
    `SwapEMAWeights` that the user put before the first stays there.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        for callback in extra:
            callback.set_model(callbacks.model)
        callbacks.callbacks[:] = _in_order([*extra, *callbacks.callbacks])
        return callbacks
    return _in_order([*extra, *as_list(callbacks)])


def _in_order(callbacks):
    swaps = _swaps_before_metrics(callbacks)

    def place(callback):
        if _adds_to_logs(callback) or callback in swaps:
            return 0
        return 1 + getattr(callback, "acts_last", False)

    return sorted(callbacks, key=place)


def _adds_to_logs(callback):
    return getattr(callback, "adds_to_logs", False)


def _swaps_before_metrics(callbacks):
    """Those that put averaged weights into the model before something measures
    it. What acts on the logs must stand after them, or it keeps other weights.
    """
    found = []
    for i, callback in enumerate(callbacks):
        if isinstance(callback, MONITORS):
            break
        is_swap = isinstance(callback, keras.callbacks.SwapEMAWeights)
        if is_swap and any(map(_adds_to_logs, callbacks[i:])):
            found.append(callback)
    return found


def as_list(callbacks: Any) -> list[keras.callbacks.Callback]:
    """Returns the `callbacks` of `fit` as one flat list."""
    callbacks = getattr(callbacks, "callbacks", callbacks)
    return [] if callbacks is None else keras.tree.flatten(callbacks)


def introduce(
    callbacks: Any, model: keras.Model, x: Any, y: Any, held_out: Any
) -> None:
    """Gives the callbacks of `fit` what they ask for.

    A callback may offer `use_data(x, y, held_out)`, which takes the data;
    `boards`, a list for the callbacks of this `fit` with `shows_pictures`;
    `others`, one of all others; and `measures_samples`, whose values `evaluate`
    of the model returns too.
    """
    callbacks = as_list(callbacks)
    boards = [c for c in callbacks if getattr(c, "shows_pictures", False)]
    for callback in callbacks:
        if hasattr(callback, "boards"):
            callback.boards = boards
        if hasattr(callback, "others"):
            callback.others = [c for c in callbacks if c is not callback]
        if hasattr(callback, "use_data"):
            callback.use_data(x, y, held_out)
        if getattr(callback, "measures_samples", False):
            model.distribution_metrics = callback


def labels_with(weight: Any, y: Any) -> Any:
    """Returns the `y` of Keras, which drops weights of samples that have none:
    without labels, the weights stand for them."""
    return weight if y is None else y


def split(
    x: Any, y: Any, weight: Any, validation_split: float | None
) -> tuple[tuple, Any]:
    """Returns what Keras trains on of arrays with `validation_split`, samples,
    labels and weights, and what it holds back, or `None`."""
    if not validation_split or not is_array(x):
        return (x, y, weight), None
    # As in Keras, the last rows, before any shuffling.
    first = math.floor(len(x) * (1.0 - validation_split))
    trained, held_out = (
        tuple(None if part is None else part[rows] for part in (x, y, weight))
        for rows in (slice(first), slice(first, None))
    )
    return trained, held_out[:2] if weight is None else held_out
