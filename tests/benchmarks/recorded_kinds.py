"""What recording saves for layers and options that decide by values.

    OMP_NUM_THREADS=1 python tests/benchmarks/recorded_kinds.py

Prints the milliseconds of a round of MonoFlowGAN on small networks, operation
by operation and as the model runs it, and their ratio, the median of pairs.
"""

import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import machine
import numpy as np
import paired
from keras import layers

import keras_monoflow as kmf


def network(inputs, *parts):
    return keras.Sequential([layers.Input((inputs,)), *parts])


def dense(units):
    return layers.Dense(units)


def spectral(units):
    return layers.SpectralNormalization(layers.Dense(units))


def recurrent(layer):
    reshape = layers.Reshape((6, 1))
    return network(6, reshape, layers.Masking(), layer, layers.Dense(1))


def multilayer(inputs, outputs, part=dense):
    parts = [part(32), layers.LeakyReLU(), part(32), layers.LeakyReLU()]
    return network(inputs, *parts, part(outputs))


def gan(discriminator=None, part=dense, run_eagerly=False, **adam):
    discriminator = discriminator or multilayer(6, 1, part)
    model = kmf.MonoFlowGAN(multilayer(3, 6, part), discriminator, seed=0)
    model.compile(
        keras.optimizers.Adam(1e-3, **adam),
        keras.optimizers.Adam(1e-3, **adam),
        run_eagerly=run_eagerly,
    )
    return model


def half_precision(**arguments):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return gan(**arguments)
    finally:
        keras.config.set_dtype_policy("float32")


KINDS = {
    "plain": gan,
    "SpectralNormalization": lambda **k: gan(part=spectral, **k),
    "LSTM with a mask": lambda **k: gan(recurrent(layers.LSTM(8)), **k),
    "GRU with recurrent_dropout": lambda **k: gan(
        recurrent(layers.GRU(8, recurrent_dropout=0.2)), **k
    ),
    "gradient_accumulation_steps=4": lambda **k: gan(
        gradient_accumulation_steps=4, **k
    ),
    "use_ema=True in Adam": lambda **k: gan(
        use_ema=True, ema_overwrite_frequency=10, **k
    ),
    "mixed_float16": half_precision,
}


def trainer(kind, run_eagerly):
    model = KINDS[kind](run_eagerly=run_eagerly)
    x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
    step = model.make_train_function()

    def run(rounds):
        for _ in range(rounds):
            step([(x,)])

    model.fit(x, batch_size=64, verbose=0)
    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=10)
    arguments = parser.parse_args()
    machine.print_description()
    print("| what | operation by operation | recorded | ratio |")
    print("|---|---|---|---|")
    for kind in KINDS:
        recorded, eager = (trainer(kind, eagerly) for eagerly in (False, True))
        rounds = paired.rounds_in(eager, target=0.2)
        bar = keras.utils.Progbar(arguments.pairs, verbose=0)
        times = paired.time_in_turns(
            recorded, eager, rounds, arguments.pairs, bar
        )[..., 0]
        fast, slow = np.median(times, axis=0)
        ratio = np.median(times[:, 1] / times[:, 0])
        print(f"| `{kind}` | {slow:.1f} ms | {fast:.1f} ms | {ratio:.1f} |")


if __name__ == "__main__":
    main()
