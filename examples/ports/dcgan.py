"""DCGAN on a folder of images, or on a data set by name.

The port of keras.io's "DCGAN to generate face images". `--folder` reads images
of your own; without it, those of `--dataset` come from TensorFlow Datasets. A
grid is drawn after every epoch, and a run that was killed goes on.

    python examples/ports/dcgan.py --folder path/to/images --size 64
    python examples/ports/dcgan.py --dataset cifar10 --size 32
"""

import argparse
import pathlib

import keras
import numpy as np

import keras_monoflow as kmf


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--folder", default=None, help="images of any size, in any subfolder")
    add("--dataset", default="cifar10", help="if there is no folder")
    add("--size", type=int, default=32, help="pixels of a side")
    add("--filters", type=int, default=64, help="of both networks")
    add("--epochs", type=int, default=30, help="passes over the data")
    add("--batch-size", type=int, default=64, help="images in a batch")
    add("--limit", type=int, default=None, help="use only that many images")
    add("--data-dir", default=None, help="TensorFlow Datasets folder")
    path = pathlib.Path("runs/ports/dcgan")
    add("--output", type=pathlib.Path, default=path, help="for all results")
    return parser.parse_args()


def load(arguments):
    """Returns images in [-1, 1], `(n, size, size, channels)`."""
    size = arguments.size
    if arguments.folder is None:
        images = kmf.datasets.load_images(
            arguments.dataset, size=size, data_dir=arguments.data_dir
        )
        return images[: arguments.limit]
    found = keras.utils.image_dataset_from_directory(
        arguments.folder,
        label_mode=None,
        image_size=(size, size),
        crop_to_aspect_ratio=True,
        batch_size=None,
        shuffle=False,
    )
    images = np.stack([np.asarray(image) for image in found])
    return images[: arguments.limit] / 127.5 - 1


def main():
    arguments = parse_arguments()
    keras.utils.set_random_seed(0)
    images = load(arguments)
    shape = images.shape[1:]
    data = kmf.datasets.ShuffledDataset(
        images, batch_size=arguments.batch_size, drop_remainder=True
    )
    options = {"image_shape": shape, "filters": arguments.filters, "seed": 0}
    gan = kmf.MonoFlowGAN(
        kmf.networks.dcgan_generator(latent_dim=128, **options),
        kmf.networks.dcgan_discriminator(**options, batch_norm=True),
        seed=0,
    )
    gan.compile(
        generator_optimizer=keras.optimizers.Adam(2e-4, 0.5),
        discriminator_optimizer=keras.optimizers.Adam(2e-4, 0.5),
        mapping="non_saturating",
        ema=0.999,
        reuse_generated=True,
    )
    output = arguments.output
    callbacks = [
        kmf.callbacks.SampleGrid(output, rows=6, columns=12),
        kmf.callbacks.BackupAndRestore(
            output / "backup", delete_checkpoint=False
        ),
    ]
    gan.fit(data, epochs=arguments.epochs, callbacks=callbacks)
    gan.save(output / "gan.keras")
    print(f"\nA grid for each epoch and the model are in {output}")


if __name__ == "__main__":
    main()
