"""Learns to draw MNIST digits with a DCGAN and any mapping.

By default R3GAN's recipe in small: its pairing loss with R1 + R2, an averaged
generator, learning rates that fall along a cosine, DCGANs with 32 feature maps.
`--recipe monoflow` takes the settings of the MonoFlow authors: the logistic
loss, DCGANs with 64 feature maps and batch normalization, learning rates of
2e-4 and 1e-4. Both: Adam with beta_1 = 0.5, batches of 128, latent points in
100 dimensions, one discriminator step a round, and the same generated samples
in both steps. A grid of digits is drawn after every epoch. A run that was
killed goes on when started again with the same `--output`. So does one that
should have more epochs; with R3GAN's recipe its learning rates rise first, to
those of the longer cosine. About a quarter of an hour on one core, or half an
hour with `--recipe monoflow`.

    python examples/mnist.py
    python examples/mnist.py --recipe monoflow --mapping arcsinh --output runs/a
    python examples/mnist.py --policy mixed_bfloat16 --output runs/bfloat16
    python examples/mnist.py --tensorboard; tensorboard --logdir runs/mnist
"""

import argparse
import functools
import pathlib

import keras
import numpy as np
from keras import layers

import keras_monoflow as kmf


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--recipe",
        choices=("r3gan", "monoflow"),
        default="r3gan",
        help="which authors to follow",
    )
    add("--mapping", default=None, help="another flow than the recipe's")
    add("--objective", default=None, help="another objective for it")
    add("--filters", type=int, default=None, help="width of both networks")
    add("--epochs", type=int, default=15, help="passes over the data")
    add("--batch-size", type=int, default=128, help="images in a batch")
    add("--limit", type=int, default=None, help="use only that many images")
    add("--seed", type=int, default=0, help="seed of weights, order and noise")
    add(
        "--blocks",
        choices=("dcgan", "depth_to_space"),
        default="dcgan",
        help="strided convolutions, or blocks that are fast on every CPU",
    )
    add(
        "--policy",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
        default="float32",
        help="dtype policy of both networks",
    )
    add(
        "--tensorboard",
        action="store_true",
        help="write pictures, log ratios and settings for TensorBoard too",
    )
    add("--data-dir", default=None, help="TensorFlow Datasets folder")
    add(
        "--output",
        type=pathlib.Path,
        default=pathlib.Path("runs/mnist"),
        help="folder for pictures, logs, backup and model",
    )
    return parser.parse_args(arguments)


def make_gan(arguments):
    """A GAN by the recipe that the arguments name."""
    keras.config.set_dtype_policy(arguments.policy)
    recipe = {"r3gan": r3gan, "monoflow": monoflow}[arguments.recipe]
    gan, choices = recipe(arguments)
    keras.config.set_dtype_policy("float32")
    if arguments.mapping is not None:
        choices["mapping"] = arguments.mapping
    if arguments.objective is not None:
        choices["discriminator_loss"] = arguments.objective
    gan.compile(reuse_generated=True, **choices)
    return gan


def networks(arguments, filters, **discriminator):
    options = {
        "blocks": arguments.blocks,
        "filters": arguments.filters or filters[arguments.blocks],
        "seed": arguments.seed,
    }
    return kmf.MonoFlowGAN(
        kmf.networks.dcgan_generator(latent_dim=100, **options),
        kmf.networks.dcgan_discriminator(**options, **discriminator),
        seed=arguments.seed,
    )


def r3gan(arguments):
    """Pairs of real and generated digits, and penalties on both."""
    gan = networks(arguments, {"dcgan": 32, "depth_to_space": 24})
    images = min(60_000, arguments.limit or 60_000)
    rounds = arguments.epochs * (images // arguments.batch_size)
    rate = kmf.schedules.Cosine(4e-3, 1e-4, duration=rounds)
    return gan, {
        "generator_optimizer": keras.optimizers.Adam(rate, 0.5, 0.99),
        "discriminator_optimizer": keras.optimizers.Adam(rate, 0.5, 0.99),
        "mapping": "relativistic",
        "discriminator_loss": "relativistic",
        "penalty": [kmf.penalties.R1(0.1), kmf.penalties.R2(0.1)],
        "ema_half_life": 20_000.0,
    }


def monoflow(arguments):
    """The settings of the MonoFlow authors."""
    # Batch norm suits this discriminator, as there is no penalty.
    wide = {"dcgan": 64, "depth_to_space": 48}
    gan = networks(arguments, wide, batch_norm=True)
    return gan, {
        "generator_optimizer": keras.optimizers.Adam(1e-4, beta_1=0.5),
        "discriminator_optimizer": keras.optimizers.Adam(2e-4, beta_1=0.5),
        "mapping": "non_saturating",
        "discriminator_loss": "logistic",
    }


def train_classifier(images, labels):
    """A small network that reads digits, to judge the generated ones."""
    keras.utils.set_random_seed(0)
    classifier = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    classifier.compile("adam", "sparse_categorical_crossentropy")
    classifier.fit(images, labels, batch_size=128, epochs=2, verbose=2)
    return classifier


@functools.cache
def digits_and_classifier(data_dir=None):
    """Training images, their labels, test images, and what reads digits."""
    load = functools.partial(
        kmf.datasets.load_images, "mnist", data_dir=data_dir
    )
    images, labels = load(with_labels=True)
    return images, labels, load(split="test"), train_classifier(images, labels)


def score(samples, classifier, test):
    """How digits look to a classifier, beside those of the test data."""
    # A class is drawn if at least one percent of the samples show it.
    coverage = kmf.metrics.ClassCoverage(
        classifier, minimum_samples=len(samples) // 100
    )
    distance = kmf.metrics.FrechetDistance(
        keras.Model(classifier.inputs[0], classifier.layers[-2].output)
    )
    return {**coverage.details(None, samples), "fid": distance(test, samples)}


def judge(samples, images, labels, data_dir):
    """Prints which digits were drawn, and how readable they are."""
    print("\nTraining a classifier to judge the digits")
    classifier = train_classifier(images, labels)
    test, test_labels = kmf.datasets.load_images(
        "mnist", split="test", data_dir=data_dir, with_labels=True
    )
    read = classifier.predict(test, batch_size=500, verbose=0).argmax(-1)
    drawn = score(samples, classifier, test)
    real = score(test, classifier, test)
    known = score(images[:10_000], classifier, test)
    rows = [
        ("accuracy on test digits", np.mean(read == test_labels)),
        ("mean confidence, test digits", real["confidence"]),
        ("mean confidence, generated", drawn["confidence"]),
        ("Fréchet distance of features", drawn["fid"]),
        ("the same, training to test", known["fid"]),
    ]
    print()
    for name, value in rows:
        print(f"{name:<32}{value:>8.3f}")
    print(f"{'classes drawn (1 % or more)':<32}{drawn['classes']:>5.0f} of 10")
    print("share of each digit, in percent, for 0 to 9:")
    print("  ".join(f"{100 * share:.1f}" for share in drawn["shares"]))


def train(arguments, images):
    """A trained GAN, which goes on where the folder says it was stopped."""
    keras.utils.set_random_seed(arguments.seed)
    data = kmf.datasets.ShuffledDataset(
        images,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        drop_remainder=True,
    )
    gan = make_gan(arguments)
    output = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    callbacks = [
        kmf.callbacks.SampleGrid(output, rows=8, columns=16),
        keras.callbacks.CSVLogger(output / "log.csv", append=True),
        kmf.callbacks.BackupAndRestore(
            output / "backup", delete_checkpoint=False
        ),
    ]
    if arguments.tensorboard:
        settings = {"batch_size": arguments.batch_size}
        callbacks += [
            kmf.callbacks.TensorBoard(output / "logs", hparams=settings),
            kmf.callbacks.FlowMonitor(),
        ]
    gan.fit(data, epochs=arguments.epochs, callbacks=callbacks)
    gan.save(output / "gan.keras")
    return gan


def main():
    arguments = parse_arguments()
    images, labels = kmf.datasets.load_images(
        "mnist", data_dir=arguments.data_dir, with_labels=True
    )
    images, labels = images[: arguments.limit], labels[: arguments.limit]
    samples = train(arguments, images).sample(10_000, seed=0)
    judge(samples, images, labels, arguments.data_dir)
    print(f"\nPictures, log and model are in {arguments.output}")


if __name__ == "__main__":
    main()
