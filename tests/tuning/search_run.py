"""Searches in a process of its own, for test_interruptions.py.

usage: search_run.py FOLDER [TRIAL]

Writes a line to FOLDER/log for each trial that begins and for each that ends.
The first process that comes to TRIAL kills itself in the middle of it.
"""

import os
import pathlib
import signal
import sys

if os.environ["KERAS_BACKEND"] == "torch":
    import torch

    torch.set_num_threads(1)

import keras
import problem

import keras_monoflow as kmf

FOLDER = pathlib.Path(sys.argv[1])
FATAL = sys.argv[2] if len(sys.argv) > 2 else None


def note(text):
    with open(FOLDER / "log", "a") as file:
        file.write(text + "\n")


class KillOnce(keras.callbacks.Callback):
    """After the first epoch, so that there are weights of it."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and not (FOLDER / "killed").exists():
            (FOLDER / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Noted(kmf.tuning.MappingHyperModel):
    def fit(self, hp, model, *args, callbacks=None, **kwargs):
        (trial,) = {c.trial.trial_id for c in callbacks if hasattr(c, "trial")}
        note(f"begin {trial}")
        if trial == FATAL:
            callbacks = [*callbacks, KillOnce()]
        results = super().fit(hp, model, *args, callbacks=callbacks, **kwargs)
        note(f"end {trial}")
        return results


problem.search(
    problem.tuner(
        FOLDER,
        Noted(
            problem.generator,
            problem.discriminator,
            problem.Gap(),
            samples=32,
            space=problem.SPACE,
        ),
    )
)
