"""What `fit` has to see to where several devices or processes train."""

import os
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow.backend import keras_internals, processes, replicas
from keras_monoflow.models import data_checks
from keras_monoflow.models.fitting import as_list
from keras_monoflow.optimizers import without_loss_scaling


def check_replicas(model: keras.Model, x: Any, batch_size: int) -> None:
    """Checks that the replicas of a model can share the batches of `fit`."""
    replicas.check_strategy(model)
    count = replicas.expected(model)
    if count > 1:
        for argument, optimizer in model.optimizers_by_argument().items():
            check_clipping(optimizer, argument)
        parts = [model.flow_potential, *model.penalties, *model.generator_terms]
        for part in parts:
            if part is not None:
                check_separable(part.whole_batch_part, count)
        check_shares(x, batch_size, count // processes.count())


def check_separable(whole_batch_part: str | None, count: int) -> None:
    """Checks that nothing in a step needs the whole batch at once."""
    if whole_batch_part:
        raise ValueError(
            f"{whole_batch_part} is not a mean over samples, so it cannot be "
            f"computed from the {count} parts of a batch that the replicas "
            "see. Train "
            "on one device, on JAX with `keras.distribution.DataParallel` "
            "(which computes with the whole batch), or with another objective."
        )


def check_clipping(
    optimizer: keras.optimizers.Optimizer, argument: str
) -> None:
    """Checks that gradients are not both scaled for float16 and clipped."""
    inner = without_loss_scaling(optimizer)
    if inner is not optimizer and replicas.clips(inner) and replicas.adds_up():
        raise ValueError(
            f"`{argument}` clips gradients that are scaled for float16, which "
            "under `tf.distribute` would clip the part of each device. Leave "
            "out the clipping, or use bfloat16. Received: clipnorm="
            f"{inner.clipnorm}, global_clipnorm={inner.global_clipnorm}, "
            f"clipvalue={inner.clipvalue}."
        )


def check_shares(x: Any, batch_size: int, devices: int) -> None:
    """Checks that each batch of arrays can be cut into equal parts."""
    if isinstance(x, keras.utils.PyDataset):
        batch_size = len(data_checks.samples_of(x[0]))
    sizes = {batch_size, data_checks.smallest_batch(x, batch_size)}
    bad = [size for size in sizes if size is not None and size % devices]
    if bad:
        raise ValueError(
            f"A batch of {bad[0]} samples cannot be cut into {devices} equal "
            "parts, one for each device, and means over unequal parts do not "
            "average to the mean over the batch. Change `batch_size`, or drop "
            "the ragged last batch, for example with `ShuffledDataset(..., "
            "drop_remainder=True)`."
        )


class StartTogether(keras.callbacks.Callback):
    """Lets all processes start from the state of the first.

    It comes last, after a backup was restored there, and at the end after the
    backup was deleted, so that nobody restores it at the next `fit`.
    """

    acts_last = True

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        variables = [*self.model.variables, *self.model.optimizer.variables]
        values = [ops.convert_to_numpy(v) for v in variables]
        epoch = np.array(keras_internals.initial_epoch(self.model), "int32")
        *values, epoch = processes.copy_from_first([*values, epoch])
        for variable, value in zip(variables, values):
            variable.assign(value)
        keras_internals.set_initial_epoch(self.model, int(epoch))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        processes.copy_from_first([np.zeros(1, "float32")])


class ReadsBackup(keras.callbacks.BackupAndRestore):
    """Restores the backup that the first process wrote, and writes none."""

    def __init__(self, callback: keras.callbacks.BackupAndRestore) -> None:
        super().__init__(callback.backup_dir, callback.save_freq)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        pass

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        pass

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        pass


#: Keras's callbacks that write files, which only one process may do. Those of
#: the package say so by `writes_files`.
WRITERS = (
    keras.callbacks.BackupAndRestore,
    keras.callbacks.CSVLogger,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.TensorBoard,
)


def for_this_process(callbacks: Any) -> Any:
    """Returns the `callbacks` of `fit` as this process shall call them.

    If several processes train together, only the first one writes files.
    """
    if processes.count() == 1:
        return callbacks
    kept = as_list(callbacks)
    _check_backups(kept)
    if processes.index() > 0:
        kept = [silent for c in kept if (silent := _silent(c)) is not None]
    kept.append(StartTogether())
    if isinstance(callbacks, keras.callbacks.CallbackList):
        kept[-1].set_model(callbacks.model)
        callbacks.callbacks[:] = kept
        return callbacks
    return kept


def files_of(backup: keras.callbacks.BackupAndRestore) -> list[str]:
    """Returns the paths of the weights from which a backup may go on."""
    return getattr(backup, "paths", [keras_internals.backup_file(backup)])


def _silent(callback):
    """Returns a callback that writes no files, or `None` for none."""
    if hasattr(callback, "only_reads"):
        callback.only_reads = True
        return callback
    if isinstance(callback, keras.callbacks.BackupAndRestore):
        return ReadsBackup(callback)
    writes = isinstance(callback, WRITERS)
    writes = writes or getattr(callback, "writes_files", False)
    return None if writes else callback


def _check_backups(callbacks):
    """Checks that all processes see the same backups, which they restore."""
    backups = [
        callback
        for callback in callbacks
        if isinstance(callback, keras.callbacks.BackupAndRestore)
    ]
    seen = sum(any(map(os.path.exists, files_of(b))) for b in backups)
    (first,) = processes.copy_from_first([np.array(seen, "int32")])
    if int(first) != seen:
        folders = ", ".join(repr(backup.backup_dir) for backup in backups)
        raise ValueError(
            "Pass `BackupAndRestore` in all processes, with a `backup_dir` "
            "that all of them see, such as one on a shared file system. Found: "
            f"{int(first)} backups in process 0, {seen} in process "
            f"{processes.index()}, which looked in: {folders or 'no folder'}."
        )
