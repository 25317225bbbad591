"""Trains in a process of its own, for test_resume.py.

usage: resume_run.py FOLDER FLOW ORDER load|killed|restored

FLOW is monoflow or w1fe, ORDER in_order or shuffled. Writes the final state to
FOLDER/ACTION.npz. `load` goes on from FOLDER/half.keras; `killed` sends itself
SIGKILL in its third epoch; `restored` goes on from the backup that was left.
"""

import os
import signal
import sys

if os.environ["KERAS_BACKEND"] == "torch":
    import torch

    torch.set_num_threads(1)

import keras
import numpy as np
from conftest import make_networks

import keras_monoflow as kmf

EPOCHS, HALF = 4, 2


def make_model(flow):
    networks = make_networks(batch_norm=True, dropout=0.3)
    generator_optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.ExponentialDecay(0.01, 5, 0.9)
    )
    if flow == "w1fe":
        model = kmf.W1FE(*networks, seed=3)
        model.compile(
            generator_optimizer=generator_optimizer,
            critic_optimizer=keras.optimizers.Adam(0.01, beta_1=0.5),
            critic_steps=2,
            critic_warmup=4,
            persistency=3,
            step_size=keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.9),
        )
        return model
    gan = kmf.MonoFlowGAN(*networks, seed=3)
    gan.compile(
        generator_optimizer=generator_optimizer,
        discriminator_optimizer=keras.optimizers.Adam(0.01, beta_1=0.5),
        mapping=kmf.mappings.Vanilla(1.0),
        discriminator_loss="donsker_varadhan",
        penalty=[kmf.penalties.GradientPenalty(0.1), kmf.penalties.R1(0.1)],
        discriminator_steps=2,
    )
    return gan


def make_data(order):
    x = np.random.default_rng(0).normal(size=(96, 2)).astype("float32")
    if order == "shuffled":
        return kmf.datasets.ShuffledDataset(x, batch_size=32, seed=5), {}
    return x, {"shuffle": False, "batch_size": 32}


def train(gan, order, epochs, **kwargs):
    x, fit_arguments = make_data(order)
    gan.fit(x, epochs=epochs, verbose=0, **fit_arguments, **kwargs)


def state(gan):
    variables = gan.variables + gan.optimizer.variables
    return [keras.ops.convert_to_numpy(v.value) for v in variables]


class KillMidEpoch(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations.numpy()) == 3 * HALF + 2:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder, flow, order, action):
    backup = keras.callbacks.BackupAndRestore(f"{folder}/backup")
    keras.utils.set_random_seed(11)
    if action == "load":
        gan = keras.saving.load_model(f"{folder}/half.keras")
        train(gan, order, EPOCHS, initial_epoch=HALF)
    elif action == "killed":
        gan = make_model(flow)
        train(gan, order, EPOCHS, callbacks=[backup, KillMidEpoch()])
    elif action == "restored":
        # Other initial weights: all of them must come from the backup.
        keras.utils.set_random_seed(12)
        gan = make_model(flow)
        train(gan, order, EPOCHS, callbacks=[backup])
    np.savez(f"{folder}/{action}.npz", *state(gan))


if __name__ == "__main__":
    main(*sys.argv[1:])
