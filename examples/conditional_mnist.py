"""Learns to draw the MNIST digit that it is asked for.

A conditional MonoFlowGAN: the generator takes a latent point and a label, and
a projection discriminator tells real pairs of image and label from generated
ones. A picture with a row for each digit is drawn after every epoch. At the
end a small classifier reads 1000 samples of each digit. A run that was killed,
or that should have more epochs, goes on when started again with the same
`--output`. About 20 minutes on two cores.

    python examples/conditional_mnist.py
    python examples/conditional_mnist.py --mapping arcsinh --output runs/arcsinh
"""

import argparse
import pathlib

import keras
import numpy as np
from mnist import train_classifier

import keras_monoflow as kmf


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--mapping", default="non_saturating", help="which flow to follow")
    add("--epochs", type=int, default=10, help="passes over the data")
    add("--batch-size", type=int, default=128, help="images in a batch")
    add("--limit", type=int, default=None, help="use only that many images")
    add("--seed", type=int, default=0, help="seed of weights, order and noise")
    add("--data-dir", default=None, help="TensorFlow Datasets folder")
    add(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path("runs/conditional_mnist"),
        help="folder for pictures, backup and model",
    )
    return parser.parse_args()


def make_gan(arguments):
    gan = kmf.MonoFlowGAN(
        kmf.networks.dcgan_generator(
            latent_dim=100, classes=10, seed=arguments.seed
        ),
        kmf.networks.dcgan_discriminator(
            classes=10, batch_norm=True, seed=arguments.seed
        ),
        seed=arguments.seed,
    )
    gan.compile(
        generator_optimizer=keras.optimizers.Adam(1e-4, beta_1=0.5),
        discriminator_optimizer=keras.optimizers.Adam(2e-4, beta_1=0.5),
        mapping=arguments.mapping,
        reuse_generated=True,
        ema=0.999,
    )
    return gan


def judge(model, images, labels, data_dir):
    """Prints how often a classifier reads the digit that was asked for."""
    print("\nTraining a classifier to read the digits")
    classifier = train_classifier(images, labels)
    test, test_labels = kmf.datasets.load_images(
        "mnist", split="test", data_dir=data_dir, with_labels=True
    )

    def read(digits):
        return classifier.predict(digits, batch_size=500, verbose=0).argmax(-1)

    asked = np.repeat(np.arange(10), 1000)
    right = read(model.sample(len(asked), labels=asked, seed=0)) == asked
    real = read(test) == test_labels
    print(f"\n{'read as asked, digit':<24}{'generated':>12}{'test images':>14}")
    for digit in range(10):
        shares = right[asked == digit].mean(), real[test_labels == digit].mean()
        print(f"{digit:<24}{shares[0]:>12.3f}{shares[1]:>14.3f}")
    print(
        f"{'read as asked, all':<24}{right.mean():>12.3f}{real.mean():>14.3f}"
    )


def main():
    arguments = parse_arguments()
    keras.utils.set_random_seed(arguments.seed)
    images, labels = kmf.datasets.load_images(
        "mnist", data_dir=arguments.data_dir, with_labels=True
    )
    images, labels = images[: arguments.limit], labels[: arguments.limit]
    data = kmf.datasets.ShuffledDataset(
        images,
        labels,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        drop_remainder=True,
    )
    gan = make_gan(arguments)
    output = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    gan.fit(
        data,
        epochs=arguments.epochs,
        callbacks=[
            kmf.callbacks.SampleGrid(output, rows=10, columns=16),
            kmf.callbacks.BackupAndRestore(
                output / "backup", delete_checkpoint=False
            ),
        ],
    )
    gan.save(output / "gan.keras")
    judge(gan, images, labels, arguments.data_dir)
    print(f"\nA picture for each epoch and the model are in {output}")


if __name__ == "__main__":
    main()
