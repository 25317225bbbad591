"""Callbacks of Keras that wait for a log to become better."""

import warnings
from typing import Any

import keras
import numpy as np

MONITORS = (
    keras.callbacks.EarlyStopping,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.ReduceLROnPlateau,
)


class _SkipsUnmeasured(keras.callbacks.Callback):
    """Passes over the epochs in which the log is NaN or infinite."""

    monitor: str

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        logs = {} if logs is None else logs
        # (One that does not judge saves in every epoch.)
        judges = getattr(self, "save_best_only", True)
        if not judges or _is_finite(logs.get(self.monitor)):
            super().on_epoch_end(epoch, logs)
        elif isinstance(self, keras.callbacks.ReduceLROnPlateau):
            # It writes the rates into the logs of every epoch.
            others = {k: v for k, v in logs.items() if k != self.monitor}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                super().on_epoch_end(epoch, others)
            logs.update(others)


def _is_finite(value: Any) -> bool:
    """(Keras has its own word for a log that is missing.)"""
    if value is None:
        return True
    return bool(np.isfinite(keras.ops.convert_to_numpy(value)).all())


def skipping_unmeasured(callback: Any) -> Any:
    """Returns what stands for a callback in `fit`.

    Keras takes a NaN of the first epoch as the best value for ever, and would
    count the epochs in which a metric is not computed as without improvement.
    For one of `MONITORS` this is an object of a subclass, which has the same
    attributes and skips such epochs. The callback itself is left as it is.
    """
    kind = type(callback)
    if not issubclass(kind, MONITORS) or issubclass(kind, _SkipsUnmeasured):
        return callback
    skipping = type(
        kind.__name__, (_SkipsUnmeasured, kind), {"__module__": kind.__module__}
    )
    stand_in: Any = object.__new__(skipping)
    stand_in.__dict__ = callback.__dict__
    return stand_in
