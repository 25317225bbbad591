r"""What a round without a discriminator costs, by velocity and batch size.

    KERAS_BACKEND=jax python tests/benchmarks/sample_rounds.py
    python tests/benchmarks/sample_rounds.py --velocities sinkhorn --sizes 256
    KERAS_BACKEND=jax python tests/benchmarks/sample_rounds.py --memory \
        --sizes 1024 4096 16384

Times the compiled step of `SampleFlow`, with the networks of the ring and one
fit a round. Beside it stand, in turns and stretch by stretch, a round of a GAN
with the same generator (`mlp_discriminator`, R1) and, on JAX, a hand-written
step (by_hand/jax_sample_steps.py). tests/test_by_hand_samples.py shows that
the latter does the same work. Printed are milliseconds of processor time a
round, and medians of the ratios of pairs with their quartiles.

`--memory` (JAX alone) prints instead what XLA sets aside for the intermediate
results of a velocity, and its time, with blocks of rows and without.

One thread gives the steadiest numbers: OMP_NUM_THREADS=1,
TF_NUM_INTRAOP_THREADS=1, TF_NUM_INTEROP_THREADS=1 and, on JAX,
XLA_FLAGS=--xla_cpu_multi_thread_eigen=false.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cases
import keras
import machine
import numpy as np
import ours
import paired
import runs
from by_hand.recipe import Recipe, weights_of

import keras_monoflow as kmf
from keras_monoflow.velocities import pairs

VELOCITIES = {
    "student": kmf.velocities.KernelRatio("student", 0.2),
    "sinkhorn": kmf.velocities.Sinkhorn(),
    "drifting": kmf.velocities.Drifting(),
    "mmd": kmf.velocities.MMD(),
    "energy": kmf.velocities.Energy(),
    "sliced": kmf.velocities.SlicedWasserstein(),
}
BY_HAND = ("student", "sinkhorn")
RECIPE = Recipe(
    flow="samples", networks="mlp", latent=2, generator_rate=5e-4, beta_2=0.9
)
BATCHES = 8


def make_flow(velocity, generator=None, recipe=RECIPE):
    """The package's `SampleFlow` of a recipe, compiled."""
    generator = generator or kmf.networks.mlp_generator(2, 2, seed=0)
    flow = kmf.SampleFlow(generator, seed=0)
    optimizer = keras.optimizers.Adam(
        recipe.generator_rate,
        recipe.beta_1,
        recipe.beta_2,
        epsilon=recipe.epsilon,
    )
    flow.compile(optimizer, VELOCITIES[velocity], step_size=recipe.step_size)
    return flow


def rivals(velocity, size, batches):
    """Yields what a round is compared with, and its stretches."""
    gan = cases.monoflow_ring(size)
    model = ours.compile_model(gan.recipe, gan.make_networks())
    yield "GAN", runs.train_function(model, cases.ring(BATCHES * size), size)
    if keras.backend.backend() == "jax" and velocity in BY_HAND:
        from by_hand.jax_sample_steps import ByHand

        weights, _ = weights_of(kmf.networks.mlp_generator(2, 2, seed=0))
        step = ByHand(RECIPE, velocity, weights)
        yield "by hand", runs.by_hand(step, batches)


def measure(velocity, size, arguments):
    """Returns (rival, summary) for each thing that was timed against."""
    data = cases.ring(BATCHES * size)
    batches = runs.batches_for_keras(data, size)
    run = runs.train_function(make_flow(velocity), data, size)
    rows = []
    for name, rival in rivals(velocity, size, batches):
        run(2)
        rounds = paired.rounds_in(rival, arguments.seconds)
        bar = keras.utils.Progbar(arguments.pairs, unit_name="pair")
        times = paired.time_in_turns(run, rival, rounds, arguments.pairs, bar)
        rows.append((name, paired.summary(times)["cpu"]))
    return rows


def memory(velocity, size):
    """Returns megabytes and seconds of a compiled velocity, in blocks of rows
    and all at once."""
    import jax

    rows = np.random.default_rng(0).normal(size=(3, size, 2)).astype("float32")
    results = []
    for most in (pairs.MOST_PAIRS, 2**60):
        pairs.MOST_PAIRS, usual = most, pairs.MOST_PAIRS
        program = jax.jit(lambda y, x, z: VELOCITIES[velocity](y, x, z, seed=0))
        compiled = program.lower(*rows).compile()
        pairs.MOST_PAIRS = usual
        taken = compiled.memory_analysis().temp_size_in_bytes
        results.append(f"{taken / 2**20:.0f}")
        if taken > 2**33:
            results.append("-")
            continue
        compiled(*rows).block_until_ready()
        start = time.process_time()
        compiled(*rows).block_until_ready()
        results.append(f"{time.process_time() - start:.2f}")
    return results


def print_memory(arguments):
    print("\n| velocity | rows | MB, in blocks | s | MB, at once | s |")
    print("|---" * 6 + "|")
    for size in arguments.sizes:
        for velocity in arguments.velocities:
            cells = " | ".join(memory(velocity, size))
            print(f"| {velocity} | {size} | {cells} |", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--velocities", nargs="+", choices=VELOCITIES, default=[*VELOCITIES])
    add("--sizes", nargs="+", type=int, default=[64, 256, 1024])
    add("--pairs", type=int, default=20, help="pairs of stretches")
    add("--seconds", type=float, default=0.2, help="length of a stretch")
    add("--memory", action="store_true", help="the memory of velocities")
    arguments = parser.parse_args()
    machine.print_description()
    if arguments.memory:
        print_memory(arguments)
        return
    results = [
        (velocity, size, *row)
        for size in arguments.sizes
        for velocity in arguments.velocities
        for row in measure(velocity, size, arguments)
    ]
    print("\n| velocity | batch | ms | beside | ms | ratio | quartiles |")
    print("|---" * 7 + "|")
    for velocity, size, name, row in results:
        low, high = row["quartiles"]
        print(
            f"| {velocity} | {size} | {row['ours_ms']:.2f} | {name} "
            f"| {row['theirs_ms']:.2f} | {row['ratio']:.2f} "
            f"| {low:.2f} to {high:.2f} |"
        )


if __name__ == "__main__":
    main()
