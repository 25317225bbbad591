"""Whether a saved model always trains on to the same weights.

    python tests/benchmarks/reproducible_loads.py --loads 50
    python tests/benchmarks/reproducible_loads.py --busy 4 --threads 2

Trains a model for a moment and saves it. Then loads the file again and again,
trains each copy on, and compares weights, optimizer slots and seeds with those
of the first copy, bit for bit. `--busy` lets so many other processes keep the
machine busy meanwhile, in which races show.
"""

import argparse
import multiprocessing
import os
import pathlib
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import machine
import numpy as np
from keras import layers

import keras_monoflow as kmf


def make_model():
    """A model with all that is random or keeps statistics."""
    generator = keras.Sequential(
        [
            layers.Input((2,)),
            layers.Dense(64, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(2),
        ]
    )
    critic = keras.Sequential(
        [
            layers.Input((2,)),
            layers.Dense(64, "leaky_relu"),
            layers.Dropout(0.2),
            layers.Dense(64, "leaky_relu"),
            # Without a bias: see tests/models/test_tensorflow_order.py.
            layers.Dense(1, use_bias=False),
        ]
    )
    model = kmf.W1FE(generator, critic, seed=2)
    adam = keras.optimizers.Adam
    model.compile(
        adam(1e-3), adam(1e-3), critic_steps=5, persistency=3, ema=0.9
    )
    return model


def values(model):
    variables = [*model.variables, *model.optimizer.variables]
    return {
        f"{i} {v.path}": np.array(keras.ops.convert_to_numpy(v))
        for i, v in enumerate(variables)
    }


def train_on(path, data, epochs):
    model = keras.models.load_model(path)
    model.fit(data, batch_size=64, epochs=epochs, shuffle=False, verbose=0)
    return values(model)


def differences(one, other):
    """The largest difference of each variable that differs."""
    pairs = zip(one.items(), other.values(), strict=True)
    return {
        name: float(np.abs(a.astype("float64") - b).max())
        for (name, a), b in pairs
        if not np.array_equal(a, b)
    }


def keep_busy():
    a = np.ones((300, 300))
    while True:
        a = np.tanh(a @ a)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--loads", type=int, default=50)
    add("--epochs", type=int, default=5)
    add("--busy", type=int, default=0, help="other processes")
    add("--threads", type=int, help="of TensorFlow, inside operations")
    arguments = parser.parse_args()
    if arguments.threads is not None:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    machine.print_description()
    context = multiprocessing.get_context("spawn")
    others = [
        context.Process(target=keep_busy, daemon=True)
        for _ in range(arguments.busy)
    ]
    for other in others:
        other.start()
    keras.utils.set_random_seed(0)
    data = kmf.datasets.gaussian_ring(512, seed=0)
    model = make_model()
    model.fit(data, batch_size=64, shuffle=False, verbose=0)
    different = 0
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.keras")
        model.save(path)
        first = train_on(path, data, arguments.epochs)
        bar = keras.utils.Progbar(arguments.loads)
        for i in range(arguments.loads):
            found = differences(first, train_on(path, data, arguments.epochs))
            if found:
                different += 1
                worst = max(found, key=found.get)
                print(
                    f"\nload {i}: {len(found)} of {len(first)} differ, most "
                    f"by {found[worst]:.2g}: {worst}"
                )
            bar.add(1)
    print(f"{different} of {arguments.loads} loads trained on to other weights")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
