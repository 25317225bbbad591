"""Learns points in the plane without a discriminator, and says how well.

A generator follows a velocity between its samples and the data: from kernels,
optimal transport or drifting. It prints the exact Wasserstein distance and the
modes that were found, and draws the samples and a film of how they got there.
About half a minute.

    python examples/sample_flow.py
    python examples/sample_flow.py --data grid --velocity sinkhorn
    python examples/sample_flow.py --mapping arcsinh --persistency 1
"""

import argparse
import pathlib
import time

import keras

import keras_monoflow as kmf

DATA = {
    "ring": kmf.datasets.gaussian_ring,
    "grid": lambda n, seed: kmf.datasets.gaussian_grid(
        n, spacing=1.0, std=0.05, seed=seed
    ),
    "checkerboard": kmf.datasets.checkerboard,
}
MODES = {
    "ring": (kmf.datasets.ring_centers(), 0.1),
    "grid": (kmf.datasets.grid_centers(spacing=1.0), 0.05),
}
VELOCITIES = ["drifting", "energy", "kernel_ratio", "mmd", "sinkhorn", "sliced"]


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--data", choices=DATA, default="ring", help="what to learn")
    add(
        "--velocity",
        choices=VELOCITIES,
        default="kernel_ratio",
        help="what moves the samples",
    )
    add("--mapping", help="that of kernel_ratio; the default is identity")
    add("--persistency", type=int, default=5, help="fits a round, K")
    add("--step-size", type=float, default=0.1, help="how far samples move")
    add("--epochs", type=int, default=20, help="epochs of 100 batches")
    add("--seed", type=int, default=0, help="seed of data, weights and noise")
    path = pathlib.Path("runs/sample_flow")
    add("--output", type=pathlib.Path, default=path, help="for the pictures")
    arguments = parser.parse_args()
    if arguments.mapping and arguments.velocity != "kernel_ratio":
        parser.error("--mapping goes with --velocity kernel_ratio alone")
    return arguments


def make_flow(arguments):
    velocity = kmf.velocities.get(arguments.velocity)
    if arguments.mapping:
        velocity = kmf.velocities.KernelRatio(mapping=arguments.mapping)
    flow = kmf.SampleFlow(
        kmf.networks.mlp_generator(2, 2, seed=arguments.seed),
        seed=arguments.seed,
    )
    flow.compile(
        generator_optimizer=keras.optimizers.Adam(5e-4, 0.5, 0.9),
        velocity=velocity,
        persistency=arguments.persistency,
        step_size=arguments.step_size,
        normalize_velocity=True,
    )
    return flow


def report(arguments, samples, test, seconds):
    """Prints the table of results."""
    distance = kmf.metrics.WassersteinDistance()
    fresh = DATA[arguments.data](len(test), seed=arguments.seed + 2)
    rows = [
        ("backend", keras.backend.backend()),
        ("data", arguments.data),
        ("velocity", arguments.velocity),
        ("mapping", arguments.mapping or "-"),
        ("persistency", arguments.persistency),
        ("exact W1 to data", f"{distance(test, samples):.3f}"),
        ("exact W1, data to data", f"{distance(test, fresh):.3f}"),
        ("training time", f"{seconds:.1f} s"),
    ]
    if arguments.data in MODES:
        centers, std = MODES[arguments.data]
        found = kmf.metrics.ModeCoverage(centers, std=std).details(
            None, samples
        )
        rows += [
            ("modes found", f"{found['modes']:.0f} of {len(centers)}"),
            ("within 3 std of a mode", f"{100 * found['high_quality']:.1f} %"),
        ]
    print()
    for name, value in rows:
        print(f"{name:<24}{value:>16}")


def main():
    arguments = parse_arguments()
    keras.utils.set_random_seed(arguments.seed)
    data = DATA[arguments.data](25_600, seed=arguments.seed)
    test = DATA[arguments.data](2_000, seed=arguments.seed + 1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    flow = make_flow(arguments)
    film = arguments.output / "flow.gif"
    start = time.perf_counter()
    flow.fit(
        data,
        batch_size=256,
        epochs=arguments.epochs,
        callbacks=[kmf.callbacks.FlowAnimation(film, data=test)],
    )
    seconds = time.perf_counter() - start
    samples = flow.sample(len(test), seed=0)
    report(arguments, samples, test, seconds)

    shown = samples[:1000]
    is_field = flow.velocity_is_field
    figure = kmf.plots.plot_scatter(
        test[:1000],
        shown,
        velocity=flow.velocity if is_field else flow.velocity(shown),
        title=f"{arguments.velocity}, {arguments.epochs} epochs",
    )
    path = arguments.output / "samples.png"
    figure.savefig(path)
    print(f"\nData, samples and velocities: {path}\nHow they moved: {film}")


if __name__ == "__main__":
    main()
