"""What a penalty costs: every round, every 16th, and by finite differences.

    KERAS_BACKEND=jax python tests/benchmarks/penalties.py
    python tests/benchmarks/penalties.py --cases mlp --pairs 30

Times the compiled step of `MonoFlowGAN` with a penalty and without, in turns
and stretch by stretch: with MLPs on points, and with small convolutional
networks on images. Printed are milliseconds of processor time a round without,
and medians of the ratios with their quartiles. A stretch has a multiple of 16
rounds, so that lazy penalties are in as many rounds as they should.

One thread gives the steadiest numbers: OMP_NUM_THREADS=1,
TF_NUM_INTRAOP_THREADS=1, TF_NUM_INTEROP_THREADS=1 and, on JAX,
XLA_FLAGS=--xla_cpu_multi_thread_eigen=false.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cases
import keras
import machine
import numpy as np
import paired
import runs

import keras_monoflow as kmf

EVERY = 16


def penalties(**choices):
    return [kmf.penalties.R1(1.0, **choices), kmf.penalties.R2(1.0, **choices)]


PENALTIES = {
    "R1 + R2": {},
    "every 16th round": {"every": EVERY},
    "finite differences": {"finite_difference": 0.01},
    "both": {"every": EVERY, "finite_difference": 0.01},
}


def mlp():
    return (*cases.ring_networks(), cases.ring(8 * 256), 256)


def images():
    """Convolutions of stride 1, which every backend runs well."""
    options = {"blocks": "depth_to_space", "filters": 8, "seed": 0}
    shape = (16, 16, 1)
    x = np.random.default_rng(0).uniform(-1, 1, size=(8 * 64, *shape))
    return (
        kmf.networks.dcgan_generator(16, shape, **options),
        kmf.networks.dcgan_discriminator(shape, **options),
        np.float32(x),
        64,
    )


CASES = {"mlp": mlp, "images": images}


def train_function(case, penalty):
    generator, discriminator, x, batch = CASES[case]()
    gan = kmf.MonoFlowGAN(generator, discriminator, seed=0)
    adams = (keras.optimizers.Adam(1e-4, 0.5) for _ in range(2))
    gan.compile(*adams, penalty=penalty)
    return runs.train_function(gan, x, batch)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--cases", nargs="+", choices=CASES, default=[*CASES])
    add("--pairs", type=int, default=12, help="pairs of stretches")
    add("--seconds", type=float, default=0.5, help="length of a stretch")
    arguments = parser.parse_args()
    machine.print_description()
    results = []
    for case in arguments.cases:
        without = train_function(case, None)
        rounds = paired.rounds_in(without, arguments.seconds)
        rounds = EVERY * max(1, round(rounds / EVERY))
        for name, choices in PENALTIES.items():
            run = train_function(case, penalties(**choices))
            run(EVERY)
            bar = keras.utils.Progbar(arguments.pairs, unit_name="pair")
            times = paired.time_in_turns(
                run, without, rounds, arguments.pairs, bar
            )
            results.append((case, name, paired.summary(times)["cpu"]))
    print("\n| networks | penalty | ms without | ratio | quartiles |")
    print("|---" * 5 + "|")
    for case, name, row in results:
        low, high = row["quartiles"]
        print(
            f"| {case} | {name} | {row['theirs_ms']:.2f} | {row['ratio']:.2f} "
            f"| {low:.2f} to {high:.2f} |"
        )


if __name__ == "__main__":
    main()
