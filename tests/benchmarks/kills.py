"""Kills a training with SIGKILL at random moments until it is done.

    KERAS_BACKEND=torch python tests/benchmarks/kills.py --kills 30
    KERAS_BACKEND=torch python tests/benchmarks/kills.py --backup keras

A run trains for some epochs with a backup after each. It is killed at a random
moment after its first backup, started again, killed, and so on. Prints how
often it was killed, and whether its last weights, optimizer slots and seeds
are those of a run that was never killed, bit for bit. `--backup keras` takes
Keras's own `BackupAndRestore`, for comparison, and `--backup checkpoint` loads
what `keras.callbacks.ModelCheckpoint` wrote last.
"""

import argparse
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np

EPOCHS = 400
BACKUPS = ["ours", "keras", "checkpoint"]


def make_model():
    import keras

    import keras_monoflow as kmf

    model = kmf.W1FE(
        kmf.networks.mlp_generator(2, 2, units=(8,), seed=0),
        kmf.networks.mlp_discriminator(2, units=(8,), seed=1),
        seed=2,
    )
    adam = keras.optimizers.Adam
    model.compile(adam(1e-3), adam(1e-3), critic_steps=2, persistency=2)
    return model


def start_or_go_on(folder, backup):
    """Returns a model, the epoch it begins with, and what keeps it."""
    import keras

    import keras_monoflow as kmf

    kinds = {
        "ours": kmf.callbacks.BackupAndRestore,
        "keras": keras.callbacks.BackupAndRestore,
    }
    if backup in kinds:
        return make_model(), 0, kinds[backup](str(folder / "backup"))
    path = folder / "backup" / "model.keras"
    callback = keras.callbacks.ModelCheckpoint(str(path))
    if not path.exists():
        return make_model(), 0, callback
    model = keras.models.load_model(path)
    rounds = int(keras.ops.convert_to_numpy(model.optimizer.iterations))
    return model, rounds // 2, callback


def train(folder, backup, epochs, change=lambda callback: None):
    """One run, which goes on from the backup that it finds."""
    import keras

    import keras_monoflow as kmf

    keras.utils.set_random_seed(0)
    points = kmf.datasets.gaussian_ring(64, seed=0)
    data = kmf.datasets.ShuffledDataset(points, batch_size=32, seed=3)
    model, first, callback = start_or_go_on(folder, backup)
    change(callback)
    model.fit(
        data,
        initial_epoch=first,
        epochs=epochs,
        verbose=0,
        callbacks=[callback],
    )
    variables = [*model.variables, *model.optimizer.variables]
    values = [keras.ops.convert_to_numpy(v) for v in variables]
    np.savez(folder / "end.npz", *values)


def start(folder, arguments):
    folder.mkdir(exist_ok=True)
    command = [sys.executable, __file__, "--run", str(folder)]
    command += ["--backup", arguments.backup, "--epochs", arguments.epochs]
    return subprocess.Popen([str(word) for word in command])


def killed_run(folder, arguments, rng):
    """Returns how often a run was killed before it came to its end."""
    kills = 0
    while True:
        process = start(folder, arguments)
        if kills < arguments.kills:
            # The backup has begun to change: training goes on.
            known = stamp(folder)
            while process.poll() is None and stamp(folder) == known:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, arguments.longest))
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
        if process.wait() == 0:
            return kills
        if process.returncode != -signal.SIGKILL:
            sys.exit(f"A run ended with {process.returncode}.")


def stamp(folder):
    """When the files of the backup were last written."""
    found = {}
    for path in sorted((folder / "backup").glob("*")):
        try:
            found[path.name] = path.stat().st_mtime_ns
        except FileNotFoundError:  # renamed just now
            continue
    return found


def is_same(one, other):
    with np.load(one / "end.npz") as a, np.load(other / "end.npz") as b:
        same_names = sorted(a.files) == sorted(b.files)
        return same_names and all(
            np.array_equal(a[name], b[name]) for name in a.files
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--kills", type=int, default=30)
    add("--longest", type=float, default=0.5, help="seconds after a backup")
    add("--seed", type=int, default=0)
    add("--epochs", type=int, default=EPOCHS)
    add("--backup", choices=BACKUPS, default="ours")
    add("--run", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        return train(arguments.run, arguments.backup, arguments.epochs)
    import machine

    machine.print_description()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, pieces = (pathlib.Path(folder, n) for n in ("whole", "pieces"))
        start(whole, arguments).wait()
        kills = killed_run(pieces, arguments, rng)
        same = is_same(whole, pieces)
    print(f"{arguments.backup}: {kills} kills, same end: {same}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
