"""What a round of W1-FE costs, as the number K of generator fits grows.

    KERAS_BACKEND=jax python tests/benchmarks/round_time.py
    python tests/benchmarks/round_time.py --critic-steps 1 5

Times W1FE on the ring of eight Gaussians, with multi-layer perceptrons, a batch
of 256 and the Lipschitz penalty. K grows the generator's work only, so a round
should take `a + b K`, with `b` about one generator fit. Prints

- milliseconds a round for each K, and beside them the line that fits them best;
- for reference, a round in which the generator does nothing (`critic_warmup`),
  and a plain Keras step of the same generator on fixed targets, alone;
- seconds to compile, which should not depend on K: the first round less the
  second. Nothing is compiled on PyTorch by default.

The Ks take turns, stretch by stretch, and all numbers are medians over the
turns. Of each round there are two times. "wall" is what a clock on the wall
shows. "cpu" is the time that the process spent on processors, which other
programs on the machine disturb far less; the line is fitted to it. The two are
about equal on an idle machine with one thread (OMP_NUM_THREADS=1,
TF_NUM_INTRAOP_THREADS=1 and TF_NUM_INTEROP_THREADS=1). What `fit` takes to
start and to end is timed with a single round, and subtracted.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import machine
import numpy as np

import keras_monoflow as kmf

BATCH = 256
#: What is timed besides the Ks.
CRITIC, GENERATOR = "critic alone", "generator alone"


def make_generator():
    return kmf.networks.mlp_generator(2, 2, seed=0)


def adam(rate):
    return keras.optimizers.Adam(rate, 0.5, 0.9)


def make_model(kind, critic_steps, jit_compile):
    """The model of a row of the table: K or one of the references."""
    if kind == GENERATOR:
        generator = make_generator()
        generator.compile(adam(5e-4), "mse", jit_compile=jit_compile)
        return generator
    model = kmf.W1FE(
        make_generator(), kmf.networks.mlp_discriminator(2, seed=0), seed=0
    )
    model.compile(
        generator_optimizer=adam(5e-4),
        critic_optimizer=adam(1e-3),
        critic_steps=critic_steps,
        critic_warmup=10**9 if kind == CRITIC else 0,
        persistency=1 if kind == CRITIC else kind,
        jit_compile=jit_compile,
    )
    return model


def seconds_of(model, rounds):
    """Seconds, of the wall and of processors, that `fit` takes."""
    data = kmf.datasets.gaussian_ring(BATCH * rounds, seed=0)
    noise = np.random.default_rng(0).normal(size=data.shape)
    is_gan = isinstance(model, kmf.W1FE)
    inputs = (data,) if is_gan else (noise.astype("float32"), data)
    start = time.perf_counter(), time.process_time()
    model.fit(*inputs, batch_size=BATCH, shuffle=False, verbose=0)
    end = time.perf_counter(), time.process_time()
    return np.subtract(end, start)


def compile_seconds(model):
    """The first round less the second: wall, cpu."""
    return seconds_of(model, 1) - seconds_of(model, 1)


def time_stretches(models, arguments, bar):
    """Returns, for each model, seconds of one round and of a stretch."""
    pairs = {kind: [] for kind in models}
    for _ in range(arguments.repeats):
        for kind, model in models.items():
            rounds = (1, 1 + arguments.rounds)
            pairs[kind].append([seconds_of(model, n) for n in rounds])
            bar.add(1)
    return pairs


def measure(kinds, critic_steps, arguments):
    """Returns rows {kind: (wall ms, cpu ms, compile wall s, cpu s)}."""
    jit_compile = True if arguments.xla else "auto"
    turns = arguments.compilations + arguments.repeats
    bar = keras.utils.Progbar(len(kinds) * turns, unit_name="stretch")
    models, compiling = {}, {kind: [] for kind in kinds}
    for _ in range(arguments.compilations):
        for kind in kinds:
            models[kind] = make_model(kind, critic_steps, jit_compile)
            compiling[kind].append(compile_seconds(models[kind]))
            bar.add(1)
    pairs = time_stretches(models, arguments, bar)
    return {
        kind: (
            *milliseconds(pairs[kind], arguments.rounds),
            *np.median(compiling[kind], axis=0),
        )
        for kind in kinds
    }


def milliseconds(pairs, rounds):
    """Returns the medians of a round's times: wall, cpu."""
    single, stretch = np.median(pairs, axis=0)
    return 1000 * (stretch - single) / rounds


def report(ks, rows, critic_steps):
    cpu = np.array([rows[k][1] for k in ks])
    slope, start = np.polyfit(ks, cpu, 1)
    line = dict(zip(ks, start + slope * np.array(ks)))
    print(
        f"\ncritic steps {critic_steps:<5}{'ms a round':>25}{'compile s':>23}"
    )
    print(f"{'':<18}{'wall':>9}{'cpu':>9}{'line':>9}{'wall':>12}{'cpu':>9}")
    for kind, (wall, cpu_ms, compile_wall, compile_cpu) in rows.items():
        name = f"K = {kind}" if kind in line else kind
        fitted = f"{line[kind]:.2f}" if kind in line else ""
        times = f"{wall:>9.2f}{cpu_ms:>9.2f}{fitted:>9}"
        print(f"{name:<18}{times}{compile_wall:>12.2f}{compile_cpu:>9.2f}")
    off = np.abs(cpu / list(line.values()) - 1).max()
    print(f"line: {start:.2f} + {slope:.2f} K ms a round, ", end="")
    print(f"largest deviation {100 * off:.1f} %")


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--ks", type=int, nargs="+", default=[1, 2, 5, 10, 20])
    add("--critic-steps", type=int, nargs="+", default=[1])
    add("--rounds", type=int, default=50, help="rounds in a stretch")
    add("--repeats", type=int, default=15, help="stretches of each K")
    add("--compilations", type=int, default=3, help="fresh models of each K")
    add("--xla", action="store_true", help="use XLA on TensorFlow as well")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    machine.print_description()
    seconds_of(make_model(GENERATOR, 1, "auto"), 1)  # starts the framework
    kinds = [CRITIC, GENERATOR, *arguments.ks]
    for critic_steps in arguments.critic_steps:
        rows = measure(kinds, critic_steps, arguments)
        report(arguments.ks, rows, critic_steps)


if __name__ == "__main__":
    main()
