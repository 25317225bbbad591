"""Callbacks that `fit` adds by itself."""

import keras
import numpy as np


class FirstBatchCheck(keras.callbacks.Callback):
    """Stops with an explanation if the very first batch gives NaN."""

    def __init__(self):
        super().__init__()
        self._checked = False

    def on_train_batch_end(self, batch, logs=None):
        if self._checked or not logs:
            return
        self._checked = True
        bad = [k for k, v in logs.items() if not np.isfinite(float(v))]
        if bad:
            raise ValueError(
                f"The first batch gave {', '.join(bad)} = NaN or infinity. "
                "Either the data `x` hold NaN or infinite values, or the "
                "weights that training started from do, or the loss "
                "overflowed: look at the data first, then lower the learning "
                "rates."
            )


class SetEpoch(keras.callbacks.Callback):
    """Tells a data set which epoch begins."""

    def __init__(self, dataset):
        super().__init__()
        self._dataset = dataset

    def on_epoch_begin(self, epoch, logs=None):
        self._dataset.set_epoch(epoch)
