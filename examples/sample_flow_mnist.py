"""Learns to draw MNIST digits without a discriminator.

A small network is trained on the images first; a generator then follows a
velocity in the space of its features, computed from two minibatches: here
optimal transport. With `--features classifier` the network has learned the
labels, with `autoencoder` it has not. A grid of digits is drawn after every
epoch, and at the end the digits are judged as those of `mnist.py` are. With
`--conditional` it draws the digit that it is asked for. A run that was killed,
or that should have more epochs, goes on when started again with the same
`--output`. About a quarter of an hour on two cores.

    python examples/sample_flow_mnist.py
    python examples/sample_flow_mnist.py --velocity drifting --persistency 1
    python examples/sample_flow_mnist.py --conditional --output runs/by_digit
"""

import argparse
import pathlib

import conditional_mnist
import keras
import mnist

import keras_monoflow as kmf


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--velocity", default="sinkhorn", help="what moves the samples")
    add("--persistency", type=int, default=5, help="fits a round, K")
    add("--step-size", type=float, default=1.0, help="how far samples move")
    add(
        "--features",
        choices=("classifier", "autoencoder"),
        default="classifier",
        help="what the network learns in whose features samples move",
    )
    add("--conditional", action="store_true", help="digits on request")
    add("--epochs", type=int, default=10, help="passes over the data")
    add("--batch-size", type=int, default=250, help="images in a batch")
    add("--limit", type=int, default=None, help="use only that many images")
    add("--seed", type=int, default=0, help="seed of weights, order and noise")
    add(
        "--blocks",
        choices=("dcgan", "depth_to_space"),
        default="dcgan",
        help="strided convolutions, or blocks that are fast on every CPU",
    )
    add("--filters", type=int, default=None, help="of the generator")
    add("--data-dir", default=None, help="TensorFlow Datasets folder")
    add(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path("runs/sample_flow_mnist"),
        help="folder for pictures, logs, backup and model",
    )
    return parser.parse_args()


def make_flow(arguments, images, labels):
    features = kmf.features.train_features(
        images,
        labels if arguments.features == "classifier" else None,
        epochs=2,
        seed=arguments.seed,
        verbose=2,
    )
    generator = kmf.networks.dcgan_generator(
        latent_dim=100,
        filters=arguments.filters,
        blocks=arguments.blocks,
        classes=10 if arguments.conditional else None,
        seed=arguments.seed,
    )
    flow = kmf.SampleFlow(generator, features=features, seed=arguments.seed)
    flow.compile(
        generator_optimizer=keras.optimizers.Adam(5e-4, 0.5, 0.9),
        velocity=arguments.velocity,
        persistency=arguments.persistency,
        step_size=arguments.step_size,
        ema=0.99,
    )
    return flow


def make_data(arguments, images, labels):
    if arguments.conditional:
        return kmf.datasets.ClassBatches(
            images,
            labels,
            classes=5,
            rows=arguments.batch_size // 5,
            seed=arguments.seed,
        )
    return kmf.datasets.ShuffledDataset(
        images,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        drop_remainder=True,
    )


def main():
    arguments = parse_arguments()
    keras.utils.set_random_seed(arguments.seed)
    images, labels = kmf.datasets.load_images(
        "mnist", data_dir=arguments.data_dir, with_labels=True
    )
    images, labels = images[: arguments.limit], labels[: arguments.limit]
    flow = make_flow(arguments, images, labels)
    output = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    flow.fit(
        make_data(arguments, images, labels),
        epochs=arguments.epochs,
        callbacks=[
            kmf.callbacks.SampleGrid(output, rows=10, columns=16),
            keras.callbacks.CSVLogger(output / "log.csv", append=True),
            kmf.callbacks.BackupAndRestore(
                output / "backup", delete_checkpoint=False
            ),
        ],
    )
    flow.save(output / "flow.keras")
    if arguments.conditional:
        conditional_mnist.judge(flow, images, labels, arguments.data_dir)
    else:
        samples = flow.sample(10_000, seed=0)
        mnist.judge(samples, images, labels, arguments.data_dir)
    print(f"\nA grid for each epoch, the log and the model are in {output}")


if __name__ == "__main__":
    main()
