"""Learns eight Gaussians on a ring, and says how well.

Trains a MonoFlowGAN on points in the plane that it makes itself. At the end
it prints how many modes were found and the exact Wasserstein distance, and
draws data, samples and the vector field that moved them. About a minute.

    python examples/ring_of_gaussians.py
    KERAS_BACKEND=jax python examples/ring_of_gaussians.py --mapping arcsinh

With `--tensorboard`, the training can be watched, and runs be compared:

    python examples/ring_of_gaussians.py --tensorboard --output runs/a
    python examples/ring_of_gaussians.py --tensorboard --output runs/b \\
        --mapping vanilla
    tensorboard --logdir runs
"""

import argparse
import pathlib
import time

import keras

import keras_monoflow as kmf


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--mapping", default="non_saturating", help="which flow to follow")
    add("--objective", default="logistic", help="what the discriminator learns")
    add("--epochs", type=int, default=30, help="epochs of 100 batches")
    add("--seed", type=int, default=0, help="seed of data, weights and noise")
    add(
        "--tensorboard",
        action="store_true",
        help="write pictures, histograms, distances and settings for it",
    )
    add(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path("runs/ring_of_gaussians"),
        help="folder for the pictures",
    )
    return parser.parse_args()


def make_gan(arguments):
    gan = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(2, 2, seed=arguments.seed),
        kmf.networks.mlp_discriminator(2, seed=arguments.seed),
        seed=arguments.seed,
    )
    gan.compile(
        generator_optimizer=keras.optimizers.Adam(5e-4, beta_1=0.5),
        discriminator_optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5),
        mapping=arguments.mapping,
        discriminator_loss=arguments.objective,
        penalty=kmf.penalties.R1(0.1),
    )
    return gan


def watchers(arguments, test):
    """Returns callbacks that show the training in TensorBoard."""
    folder = arguments.output
    return [
        kmf.callbacks.TensorBoard(
            folder / "logs", hparams={"seed": arguments.seed}
        ),
        kmf.callbacks.SampleScatter(folder / "samples", test, every=5),
        kmf.callbacks.FlowMonitor(real=test),
        kmf.callbacks.DistributionMetrics(
            kmf.metrics.WassersteinDistance(), every=5, real=test
        ),
    ]


def report(arguments, gan, test, seconds):
    """Prints the table of results."""
    samples = gan.sample(len(test), seed=0)
    fresh = kmf.datasets.gaussian_ring(len(test), seed=arguments.seed + 2)
    coverage = kmf.metrics.ModeCoverage(kmf.datasets.ring_centers(), std=0.1)
    distance = kmf.metrics.WassersteinDistance()
    found = coverage.details(None, samples)
    rows = [
        ("backend", keras.backend.backend()),
        ("mapping", arguments.mapping),
        ("objective", arguments.objective),
        ("seed", arguments.seed),
        ("modes found", f"{found['modes']:.0f} of 8"),
        ("within 3 std of a mode", f"{100 * found['high_quality']:.1f} %"),
        ("exact W1 to data", f"{distance(test, samples):.3f}"),
        ("exact W1, data to data", f"{distance(test, fresh):.3f}"),
        ("training time", f"{seconds:.1f} s"),
    ]
    print()
    for name, value in rows:
        print(f"{name:<24}{value:>16}")
    return samples


def main():
    arguments = parse_arguments()
    keras.utils.set_random_seed(arguments.seed)
    data = kmf.datasets.gaussian_ring(25_600, seed=arguments.seed)
    test = kmf.datasets.gaussian_ring(2_000, seed=arguments.seed + 1)
    gan = make_gan(arguments)
    start = time.perf_counter()
    gan.fit(
        data,
        batch_size=256,
        epochs=arguments.epochs,
        callbacks=watchers(arguments, test) if arguments.tensorboard else None,
    )
    seconds = time.perf_counter() - start
    samples = report(arguments, gan, test, seconds)

    figure = kmf.callbacks.plot_scatter(
        test[:1000],
        samples[:1000],
        velocity=gan.velocity,
        title=f"{arguments.mapping}, {arguments.epochs} epochs",
    )
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "ring.png"
    figure.savefig(path)
    print(f"\nData, samples and grad V: {path}")


if __name__ == "__main__":
    main()
