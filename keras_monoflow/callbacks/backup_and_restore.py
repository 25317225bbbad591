"""A backup in one file, which no kill can tear apart."""

import contextlib
import os
import warnings
import zlib
from collections.abc import Sequence
from typing import Any

import h5py
import keras
import numpy as np

from keras_monoflow import files
from keras_monoflow.arguments import check_integer
from keras_monoflow.backend import keras_internals
from keras_monoflow.callbacks.callback_states import (
    have_ended,
    read_states,
    write_states,
)
from keras_monoflow.optimizers import build

_EPOCH, _BATCH, _CHECKSUM = "kmf_epoch", "kmf_batch", "kmf_checksum"


class BackupAndRestore(keras.callbacks.BackupAndRestore):
    """Keras's `BackupAndRestore` for runs that may be killed at any moment.

    Keras writes the weights to one file and the epoch to another; a run that is
    killed between the two goes on with the weights of one epoch at the number
    of another. Here both are in one file, `latest.weights.h5`. It is written
    under another name, brought to the disk, and renamed, so that it is always
    whole. The one before is kept as `previous.weights.h5`: if the latest cannot
    be read, `fit` goes on from that one and says so.

    Everything else is as in Keras: an interrupted `fit` that is started again
    goes on at the epoch that comes next. With the models of the package it ends
    with the weights of a run that was not interrupted. There it acts after all
    other callbacks, and also holds what `EarlyStopping`, `ModelCheckpoint` and
    `ReduceLROnPlateau` remember: the best value, the epochs without a better
    one, and the best weights; and whether `SwapEMAWeights` has swapped them. A
    callback of your own names the attributes that it remembers, numbers,
    strings, arrays or lists of arrays, in `remembers`.

    Args:
        backup_dir: Folder of the backup, for this run alone.
        save_freq: `"epoch"`, or after how many batches to write. With a number,
            a run resumes at the start of the epoch, as in Keras, with the
            weights of its middle.
        double_checkpoint: Boolean, whether to keep the backup before the last
            one, which takes twice the space.
        delete_checkpoint: Boolean, whether to delete the backup when the
            training ends.

    Raises:
        ValueError: If an argument is out of its range. At the start of `fit`,
            if there are backups and none can be read, or of other networks.
        OSError: At the start of `fit`, if the folder cannot be written; at the
            end of an epoch, if the backup cannot. The last one is left intact.

    Example:

    ```python
    import keras_monoflow as kmf

    backup = kmf.callbacks.BackupAndRestore("backup")
    # gan.fit(data, epochs=100, callbacks=[backup])
    ```
    """

    writes_files = True

    #: `fit` calls it after the others, so that a backup holds what they did.
    acts_last = True

    #: The callbacks of the same `fit`; it sets them.
    others: Sequence[Any] = ()

    def __init__(
        self,
        backup_dir: str | os.PathLike,
        save_freq: str | int = "epoch",
        double_checkpoint: bool = True,
        delete_checkpoint: bool = True,
    ) -> None:
        if not isinstance(save_freq, str):
            check_integer("save_freq", save_freq, minimum=1)
        super().__init__(
            backup_dir, save_freq, double_checkpoint, delete_checkpoint
        )
        if "://" in str(backup_dir):
            raise ValueError(
                "`backup_dir` must be a folder of the file system, where files "
                f"can be renamed. Received: backup_dir={backup_dir!r}. For "
                "others there is `keras.callbacks.BackupAndRestore`."
            )
        #: The latest backup and the one before it.
        self.paths = [
            os.path.join(backup_dir, f"{name}.weights.h5")
            for name in ("latest", "previous")
        ]
        #: Whether this process restores only; see `several_processes.py`.
        self.only_reads = False
        self._latest_is_whole = True
        self._epoch = 0
        self._batch, self._unsaved = -1, 0

    # ------------------------------------------------------------- restoring

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._unsaved = 0
        self._warn_of_logs()
        keras_internals.set_initial_epoch(self.model, 0)
        if not self.only_reads:
            files.check_folder(self.backup_dir, type(self).__name__)
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is not None and not optimizer.built:
            # Its slots must exist before they are restored.
            build(optimizer, self.model.trainable_variables)
        found = [path for path in self.paths if os.path.exists(path)]
        reasons = {}
        for path in found:
            try:
                epoch = _check_whole(path)
            except (OSError, RuntimeError, KeyError) as error:
                reasons[path] = error
                continue
            self._latest_is_whole = not reasons
            if reasons:
                warnings.warn(
                    f"{self.paths[0]!r} is damaged, or was cut short. Going on "
                    f"from the backup before it, with epoch {epoch + 1}: "
                    f"{reasons[self.paths[0]]}",
                    stacklevel=2,
                )
            self._restore(path, epoch)
            return
        if found:
            raise ValueError(
                f"No backup in {str(self.backup_dir)!r} can be read, although "
                "there are files: each is damaged, or was cut short. Delete "
                "the folder to start from the beginning. Found: "
                + "; ".join(f"{p!r}: {e}" for p, e in reasons.items())
            )

    def _restore(self, path: str, epoch: int) -> None:
        self.model.load_weights(path)
        with h5py.File(path, "r") as file:
            read_states(self.others, file)
        if have_ended(self.others, epoch):
            # (It was killed before the backup was deleted, or keeps it.)
            warnings.warn(
                f"`EarlyStopping` had ended the run in {str(self.backup_dir)!r}"
                ", so there is nothing left to train. Raise its `patience` to "
                "go on, or delete the folder to start from the beginning.",
                stacklevel=3,
            )
            epoch = max(epoch, self.params.get("epochs", epoch))
        keras_internals.set_initial_epoch(self.model, epoch)

    def _warn_of_logs(self) -> None:
        for callback in self.others:
            is_log = isinstance(callback, keras.callbacks.CSVLogger)
            if is_log and not callback.append:
                warnings.warn(
                    "`CSVLogger` empties its file whenever `fit` starts, so a "
                    "run that goes on would lose its first epochs. Pass "
                    f"`append=True`. Received: {callback.filename!r}.",
                    stacklevel=3,
                )

    # --------------------------------------------------------------- writing

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._epoch, self._batch = epoch, -1

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if self.save_freq == "epoch":
            return
        # With `steps_per_execution` more than one batch may have passed.
        self._unsaved += batch - self._batch
        self._batch = batch
        if self._unsaved >= self.save_freq:
            self._unsaved = 0
            self._write(self._epoch, batch + 1)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._epoch, self._batch = epoch + 1, -1
        if self.save_freq == "epoch":
            self._write(epoch + 1, 0)

    def _write(self, epoch: int, batch: int) -> None:
        if self.only_reads:
            return
        weights = files.WeightsInMemory()
        self.model.save_weights(weights)
        with h5py.File(weights, "r+") as file:
            write_states(self.others, file)
            _sign(file, epoch, batch)
        latest, previous = self.paths
        # One that could not be read must not replace the one that was.
        keeps = self.double_checkpoint and self._latest_is_whole
        files.write_weights(
            weights,
            latest,
            type(self).__name__,
            keep=previous if keeps else None,
            durable=True,
        )
        self._latest_is_whole = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.only_reads or not self.delete_checkpoint:
            return
        # The latest last: without it the run would go on from the other.
        for path in reversed(self.paths):
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
        with contextlib.suppress(OSError):  # There are files of others.
            os.rmdir(self.backup_dir)


def _sign(file: h5py.File, epoch: int, batch: int) -> None:
    """Writes into a file of weights where it was written, and a checksum."""
    file.attrs[_EPOCH], file.attrs[_BATCH] = epoch, batch
    file.attrs[_CHECKSUM] = _checksum(file)


def _check_whole(path: str) -> int:
    """Returns the epoch of a backup; raises an error if it is not whole."""
    with h5py.File(path, "r") as file:
        if _EPOCH not in file.attrs:
            raise ValueError(
                f"{path!r} was not written by `keras_monoflow.callbacks."
                "BackupAndRestore`. Go on with the callback that wrote it, or "
                "delete it to start from the beginning."
            )
        if file.attrs[_CHECKSUM] != _checksum(file):
            raise OSError(f"{path!r} does not hold what was written")
        return int(file.attrs[_EPOCH])


def _checksum(file: h5py.File) -> int:
    """Returns a checksum of all arrays of a file, in the order of names."""
    total = 0

    def add(name: str, item: Any) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset):
            total = zlib.crc32(name.encode(), total)
            total = zlib.crc32(np.asarray(item[()]).tobytes(), total)

    file.visititems(add)
    return total
