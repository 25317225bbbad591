"""The callbacks of one training of a trial."""

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner

from keras_monoflow.callbacks import TensorBoard


def fresh_callbacks(
    callbacks: Sequence[keras.callbacks.Callback],
    hyperparameters: Mapping[str, Any],
    subfolder: str = "",
) -> list[keras.callbacks.Callback]:
    """Returns copies of the user's callbacks, and the tuner's own.

    Args:
        callbacks: What KerasTuner hands to `fit`.
        hyperparameters: Values that a `TensorBoard` of the package shows.
        subfolder: Below the folder of the trial, where several trainings of
            the trial must not write into one.

    Raises:
        keras_tuner.errors.FatalValueError: If one cannot be part of a search.
    """
    _check_kinds(callbacks)
    trial = None
    for callback in callbacks:
        trial = getattr(callback, "trial", trial)
    has_board = any(isinstance(c, TensorBoard) for c in callbacks)
    fresh = []
    for callback in callbacks:
        module = type(callback).__module__
        if module.startswith("keras_tuner"):
            fresh.append(callback)
        elif module.startswith("tensorboard.plugins.hparams"):
            # Ours writes the same with the arguments of `compile`. This one
            # cannot be copied.
            fresh += [] if has_board else [callback]
        else:
            fresh.append(copy.deepcopy(callback))
    for callback in fresh:
        if isinstance(callback, keras.callbacks.TensorBoard):
            callback.log_dir = _log_dir(callback.log_dir, trial, subfolder)
        if isinstance(callback, TensorBoard):
            callback.hparams.update(hyperparameters)
    return fresh


def _check_kinds(callbacks):
    for callback in callbacks:
        name = type(callback).__name__
        if isinstance(callback, keras.callbacks.BackupAndRestore):
            raise keras_tuner.errors.FatalValueError(
                f"`callbacks` of `search` must not have a `{name}`: one trial "
                "would go on from the backup of another. Leave it out: a "
                "search resumes by itself, and a trial that was interrupted "
                "begins anew."
            )
        if getattr(callback, "measures_samples", False):
            raise keras_tuner.errors.FatalValueError(
                f"`callbacks` of `search` must not have a `{name}`: the "
                "hypermodel measures the samples. Pass the metrics to it, as "
                "`metrics=[...]`."
            )


def _log_dir(log_dir, trial, subfolder):
    # KerasTuner adds the trial by itself, but not on every backend.
    parts = os.path.normpath(log_dir).split(os.sep)
    if trial is not None and trial.trial_id not in parts[-2:]:
        log_dir = os.path.join(log_dir, trial.trial_id, "execution0")
    return os.path.join(log_dir, subfolder) if subfolder else log_dir
