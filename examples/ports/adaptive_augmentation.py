"""A GAN from a few images, with adaptive discriminator augmentation.

The port of keras.io's "Data-efficient GANs with Adaptive Discriminator
Augmentation": changes of color, translations and cutouts on what the
discriminator sees, as often as its outputs on the data demand, and the kernel
distance to held-out images every five epochs. By default the 5000 horses of
CIFAR-10. A run that was killed goes on, with the strength that it had.

    python examples/ports/adaptive_augmentation.py
    python examples/ports/adaptive_augmentation.py --dataset oxford_flowers102 \
        --label -1 --size 64
"""

import argparse
import pathlib

import keras

import keras_monoflow as kmf


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--dataset", default="cifar10", help="of TensorFlow Datasets")
    add("--label", type=int, default=7, help="its class, -1 for all")
    add("--size", type=int, default=32, help="pixels of a side")
    add("--filters", type=int, default=32, help="of both networks")
    add("--epochs", type=int, default=60, help="passes over the data")
    add("--batch-size", type=int, default=64, help="images in a batch")
    add("--limit", type=int, default=None, help="use only that many images")
    add("--data-dir", default=None, help="TensorFlow Datasets folder")
    path = pathlib.Path("runs/ports/adaptive_augmentation")
    add("--output", type=pathlib.Path, default=path, help="for all results")
    return parser.parse_args()


def load(arguments, split):
    images, labels = kmf.datasets.load_images(
        arguments.dataset,
        split=split,
        size=arguments.size,
        data_dir=arguments.data_dir,
        with_labels=True,
    )
    if arguments.label >= 0:
        images = images[labels == arguments.label]
    return images[: arguments.limit]


def main():
    arguments = parse_arguments()
    keras.utils.set_random_seed(0)
    images, test = load(arguments, "train"), load(arguments, "test")
    data = kmf.datasets.ShuffledDataset(
        images, batch_size=arguments.batch_size, drop_remainder=True
    )
    options = {"image_shape": images.shape[1:], "seed": 0}
    options["filters"] = arguments.filters
    gan = kmf.MonoFlowGAN(
        kmf.networks.dcgan_generator(latent_dim=64, **options),
        kmf.networks.dcgan_discriminator(**options),
        seed=0,
    )
    gan.compile(
        generator_optimizer=keras.optimizers.Adam(2e-4, 0.5),
        discriminator_optimizer=keras.optimizers.Adam(2e-4, 0.5),
        augment=kmf.augmentation.AdaptiveAugment(target=0.85),
        penalty=kmf.penalties.R1(0.1),
        ema=0.99,
    )
    output = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    callbacks = [
        kmf.callbacks.DistributionMetrics(
            ["kernel_distance", "sliced_wasserstein_distance"], every=5
        ),
        kmf.callbacks.SampleGrid(output, rows=6, columns=12, every=5),
        keras.callbacks.CSVLogger(output / "log.csv", append=True),
        kmf.callbacks.BackupAndRestore(
            output / "backup", delete_checkpoint=False
        ),
    ]
    gan.fit(
        data,
        epochs=arguments.epochs,
        callbacks=callbacks,
        validation_data=test,
    )
    gan.save(output / "gan.keras")
    strength = keras.ops.convert_to_numpy(gan.augment_state.probability)
    print(f"\nstrength of the augmentation at the end: {strength:.3f}")


if __name__ == "__main__":
    main()
