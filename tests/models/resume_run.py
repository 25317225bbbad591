"""Runs that are stopped and resumed, for test_resume.py.

usage, in a process of its own: resume_run.py FOLDER FLOW ORDER killed|resumed

FLOW is one of those in helpers.py, ORDER in_order or shuffled. `killed` saves
FOLDER/half.keras and a backup after each epoch, and sends itself SIGKILL in its
third. `resumed` goes on from the file, and then another time from the backup.
It writes what it found in the file, and the state at both ends.
"""

import os
import signal
import sys

if os.environ["KERAS_BACKEND"] == "torch":
    import torch

    torch.set_num_threads(1)

import keras
import numpy as np
from helpers import ROLES, make_uncompiled

import keras_monoflow as kmf

EPOCHS, HALF = 4, 2


def decay(rate):
    return keras.optimizers.schedules.ExponentialDecay(rate, 5, 0.9)


def make_model(flow):
    """A model with everything that has a state."""
    model = make_uncompiled(flow, seed=3, batch_norm=True, dropout=0.3)
    optimizers = {
        "generator_optimizer": keras.optimizers.Adam(decay(0.01)),
        f"{ROLES[flow]}_optimizer": keras.optimizers.Adam(0.01, beta_1=0.5),
    }
    optimizers.pop("None_optimizer", None)
    if flow.endswith("particles"):
        del optimizers["generator_optimizer"]
    choices = {
        "monoflow": {
            "mapping": kmf.mappings.Vanilla(1.0),
            "discriminator_loss": "donsker_varadhan",
            "penalty": [
                kmf.penalties.GradientPenalty(0.1),
                kmf.penalties.R1(0.1),
            ],
            "discriminator_steps": 2,
            "ema": 0.9,
        },
        "w1fe": {
            "critic_steps": 2,
            "critic_warmup": 4,
            "persistency": 3,
            "step_size": decay(0.1),
        },
        "w2fe": {
            "potential_steps": 2,
            "potential_warmup": 1,
            "persistency": 2,
            "step_size": decay(0.1),
            "update": "proximal",
        },
        "particles": {
            "penalty": kmf.penalties.DRAGAN(0.1),
            "discriminator_warmup": 4,
            "step_size": decay(0.1),
            "temperature": 0.01,
        },
        "samples": {
            "velocity": "sliced",
            "persistency": 3,
            "step_size": decay(0.1),
            "ema": 0.9,
        },
        "free_particles": {
            "velocity": kmf.velocities.KernelRatio("laplace", mapping="mle"),
            "step_size": decay(0.1),
            "temperature": 0.01,
        },
    }
    model.compile(**optimizers, **choices[flow])
    return model


def make_data(order):
    x = np.random.default_rng(0).normal(size=(96, 2)).astype("float32")
    if order == "shuffled":
        return kmf.datasets.ShuffledDataset(x, batch_size=32, seed=5), {}
    return x, {"shuffle": False, "batch_size": 32}


def train(model, order, epochs, **kwargs):
    x, fit_arguments = make_data(order)
    if isinstance(model, kmf.ParticleFlow):
        kwargs["record_every"] = 2
    model.fit(x, epochs=epochs, verbose=0, **fit_arguments, **kwargs)


def state(model):
    variables = model.variables + model.optimizer.variables
    values = [keras.ops.convert_to_numpy(v.value) for v in variables]
    if isinstance(model, kmf.ParticleFlow):
        values += [model.trajectory_rounds, model.trajectory]
    return values


class StopMidEpoch(keras.callbacks.Callback):
    """Calls a function in the third epoch of a run."""

    def __init__(self, stop):
        super().__init__()
        self.stop = stop
        self.batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        if self.batches == 3 * HALF + 2:
            self.stop()


def backup(folder):
    return kmf.callbacks.BackupAndRestore(f"{folder}/backup")


def start(folder, flow, order, stop):
    """Saves half.keras and a backup after each epoch, and is stopped."""
    keras.utils.set_random_seed(11)
    save = keras.callbacks.ModelCheckpoint(f"{folder}/half.keras")
    callbacks = [save, backup(folder), StopMidEpoch(stop)]
    train(make_model(flow), order, EPOCHS, callbacks=callbacks)


def resume(folder, flow, order):
    """What the file holds, and the ends of runs from it and the backup."""
    keras.utils.set_random_seed(12)
    model = keras.saving.load_model(f"{folder}/half.keras")
    states = {"half": state(model)}
    train(model, order, EPOCHS, initial_epoch=HALF)
    states["loaded"] = state(model)
    # Other initial weights: all of them must come from the backup.
    keras.utils.set_random_seed(12)
    model = make_model(flow)
    train(model, order, EPOCHS, callbacks=[backup(folder)])
    states["restored"] = state(model)
    return states


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder, flow, order, action):
    if action == "killed":
        start(folder, flow, order, kill)
    for name, values in resume(folder, flow, order).items():
        np.savez(f"{folder}/{name}.npz", *values)


if __name__ == "__main__":
    main(*sys.argv[1:])
