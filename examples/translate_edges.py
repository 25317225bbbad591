"""Draws MNIST digits from their edges: pix2pix as a flow.

A U-Net turns edges into digits. It follows a discriminator of patches that sees
the edges too, and stays near the digit in absolute values. A picture with
edges, result and digit side by side is drawn after every epoch. At the end a
classifier reads the results for the test images, and the mean absolute error is
printed. With `--reconstruction-only` the generator learns from the errors
alone, for comparison. A run that was killed goes on when started again with the
same `--output`. A few minutes on two cores.

    python examples/translate_edges.py
    python examples/translate_edges.py --reconstruction-only --output runs/l1
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
    add("--epochs", type=int, default=5, help="passes over the data")
    add("--weight", type=float, default=10.0, help="of the absolute errors")
    add("--filters", type=int, default=16, help="of both networks")
    add("--limit", type=int, default=None, help="use only that many images")
    add("--seed", type=int, default=0, help="seed of weights, order and noise")
    add("--data-dir", default=None, help="TensorFlow Datasets folder")
    add("--reconstruction-only", action="store_true", help="without the flow")
    path = pathlib.Path("runs/translate_edges")
    add("--output", type=pathlib.Path, default=path, help="for all results")
    return parser.parse_args()


def edges(images):
    """White where brightness changes by more than half, black elsewhere."""
    down, right = np.zeros_like(images), np.zeros_like(images)
    down[:, 1:] = np.abs(np.diff(images, axis=1))
    right[:, :, 1:] = np.abs(np.diff(images, axis=2))
    return np.where(np.maximum(down, right) > 0.5, 1, -1).astype("float32")


def make_model(arguments, rounds):
    shape, options = (28, 28, 1), {"seed": arguments.seed}
    options["filters"] = arguments.filters
    model = kmf.MonoFlowGAN(
        kmf.networks.unet_generator(shape, stages=2, **options),
        kmf.networks.patch_discriminator(shape, shape, **options),
        prior=None,
        seed=arguments.seed,
    )
    error = kmf.terms.Reconstruction("l1", weight=arguments.weight)
    model.compile(
        keras.optimizers.Adam(1e-3, 0.5),
        keras.optimizers.Adam(1e-3, 0.5),
        generator_terms=[error],
        generator_warmup=rounds if arguments.reconstruction_only else 0,
        penalty=kmf.penalties.R1(0.01),
        reuse_generated=True,
    )
    return model


def main():
    arguments = parse_arguments()
    keras.utils.set_random_seed(arguments.seed)
    images, labels = kmf.datasets.load_images(
        "mnist", data_dir=arguments.data_dir, with_labels=True
    )
    images, labels = images[: arguments.limit], labels[: arguments.limit]
    test, test_labels = kmf.datasets.load_images(
        "mnist", split="test", data_dir=arguments.data_dir, with_labels=True
    )
    # The samples come first, and what they are made from second.
    data = kmf.datasets.ShuffledDataset(
        images,
        edges(images),
        batch_size=64,
        seed=arguments.seed,
        drop_remainder=True,
    )
    model = make_model(arguments, rounds=arguments.epochs * len(data))
    output = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    callbacks = [
        kmf.callbacks.SampleGrid(output, rows=6, columns=4),
        kmf.callbacks.BackupAndRestore(
            output / "backup", delete_checkpoint=False
        ),
    ]
    model.fit(data, epochs=arguments.epochs, callbacks=callbacks)
    model.save(output / "translation.keras")

    results = model.predict(edges(test), batch_size=500, verbose=0)
    classifier = train_classifier(images, labels)
    print(f"\nmean absolute error: {np.abs(results - test).mean():.4f}")
    read = {"edges": edges(test), "results": results, "test images": test}
    for name, digits in read.items():
        shares = classifier.predict(digits, batch_size=500, verbose=0)
        right = np.mean(shares.argmax(-1) == test_labels)
        print(f"read rightly, {name}: {right:.3f}")


if __name__ == "__main__":
    main()
