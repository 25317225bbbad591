"""Ends the training of a trial that diverges."""

from typing import Any

import keras
import numpy as np

from keras_monoflow.callbacks.held_out import OCCASIONAL_LOGS


class StopWhenDiverged(keras.callbacks.Callback):
    """Stops at the end of an epoch whose losses are NaN, infinite or huge.

    Args:
        limit: Positive number, the largest absolute value of a log.

    Attributes:
        reason: What happened, or `None`.
    """

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit
        self.reason: str | None = None

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        for name, value in (logs or {}).items():
            if name.startswith(OCCASIONAL_LOGS):
                continue
            if not np.abs(float(value)) <= self.limit:
                self.reason = f"diverged in epoch {epoch + 1}: {name} = {value}"
                self.model.stop_training = True
                return
