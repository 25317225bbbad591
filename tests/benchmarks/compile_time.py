"""How the time to compile a step grows with the number of inner steps.

    KERAS_BACKEND=jax python tests/benchmarks/compile_time.py

Builds fresh models in turn, with few and with many steps, times the first two
batches less twice the third, and prints medians and their ratio. On PyTorch
this is the time to record a step, or with `--jit` that of `torch.compile`.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Fresh models are to be compiled afresh.
os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"

import keras
import machine

import keras_monoflow as kmf


def make_gan(jit_compile, **steps):
    gan = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(2, 2, seed=0),
        kmf.networks.mlp_discriminator(2, seed=0),
        seed=0,
    )
    gan.compile(
        generator_optimizer=keras.optimizers.Adam(1e-3),
        discriminator_optimizer=keras.optimizers.Adam(1e-3),
        penalty=kmf.penalties.R1(1.0),
        step_size=0.1,
        jit_compile=jit_compile,
        **steps,
    )
    return gan


def first_two_less_the_third(gan, data):
    """(`torch.compile` compiles what the first batch recorded.)"""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        gan.fit(data, batch_size=len(data), verbose=0)
        times.append(time.perf_counter() - start)
    return times[0] + times[1] - 2 * times[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--few", type=int, default=2)
    parser.add_argument("--many", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--jit",
        action="store_true",
        help="use XLA on TensorFlow, and torch.compile",
    )
    arguments = parser.parse_args()
    jit_compile = True if arguments.jit else "auto"
    machine.print_description()
    data = kmf.datasets.gaussian_ring(256, seed=0)
    first_two_less_the_third(make_gan(jit_compile), data)
    print(f"{'argument':<22}{'steps':>6}{'compile s':>12}{'ratio':>8}")
    for argument in ("discriminator_steps", "persistency"):
        times = {arguments.few: [], arguments.many: []}
        for _ in range(arguments.repeats):
            for steps, seconds in times.items():
                gan = make_gan(jit_compile, **{argument: steps})
                seconds.append(first_two_less_the_third(gan, data))
        few, many = (statistics.median(s) for s in times.values())
        print(f"{argument:<22}{arguments.few:>6}{few:>12.2f}")
        print(f"{'':<22}{arguments.many:>6}{many:>12.2f}{many / few:>8.2f}")


if __name__ == "__main__":
    main()
