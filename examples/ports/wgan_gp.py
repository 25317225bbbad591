"""WGAN-GP, as W1-FE with one fit a round.

The port of keras.io's "WGAN-GP with overridden Model.train_step": the critic
minimizes `E D(G(z)) - E D(x)` plus the gradient penalty, three times a round.
`--persistency 5` fits the same moved images five times, which is W1-FE. A grid
is drawn after every epoch, and a run that was killed goes on.

    python examples/ports/wgan_gp.py
    python examples/ports/wgan_gp.py --persistency 5 --step-size 1
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
    add("--dataset", default="fashion_mnist", help="of TensorFlow Datasets")
    add("--persistency", type=int, default=1, help="fits of each move")
    add("--step-size", type=float, default=1.0, help="how far samples move")
    add("--filters", type=int, default=64, help="of both networks")
    add("--epochs", type=int, default=20, help="passes over the data")
    add("--batch-size", type=int, default=512, help="images in a batch")
    add("--limit", type=int, default=None, help="use only that many images")
    add("--data-dir", default=None, help="TensorFlow Datasets folder")
    path = pathlib.Path("runs/ports/wgan_gp")
    add("--output", type=pathlib.Path, default=path, help="for all results")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    keras.utils.set_random_seed(0)
    images = kmf.datasets.load_images(
        arguments.dataset, data_dir=arguments.data_dir
    )[: arguments.limit]
    data = kmf.datasets.ShuffledDataset(
        images, batch_size=arguments.batch_size, drop_remainder=True
    )
    options = {"filters": arguments.filters, "seed": 0}
    model = kmf.W1FE(
        kmf.networks.dcgan_generator(latent_dim=128, **options),
        kmf.networks.dcgan_discriminator(**options),
        seed=0,
    )
    model.compile(
        generator_optimizer=keras.optimizers.Adam(2e-4, 0.5, 0.9),
        critic_optimizer=keras.optimizers.Adam(2e-4, 0.5, 0.9),
        penalty=kmf.penalties.GradientPenalty(10.0),
        critic_steps=3,
        persistency=arguments.persistency,
        step_size=arguments.step_size,
        ema=0.99,
    )
    output = arguments.output
    callbacks = [
        kmf.callbacks.SampleGrid(output, rows=6, columns=12),
        kmf.callbacks.BackupAndRestore(
            output / "backup", delete_checkpoint=False
        ),
    ]
    model.fit(data, epochs=arguments.epochs, callbacks=callbacks)
    model.save(output / "model.keras")
    print(f"\nA grid for each epoch and the model are in {output}")


if __name__ == "__main__":
    main()
