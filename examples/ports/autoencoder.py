"""An image tokenizer: a vector-quantized autoencoder with a flow on top.

VQGAN in small. The encoder makes 7 x 7 vectors of a digit, each is replaced by
the nearest of 64 codes, and the decoder draws the digit again. For two epochs
it learns from its errors alone; then a discriminator of patches, which sees the
results and not what they were made from, makes them sharp, with a weight that
keeps both gradients alike. Printed are the error and the Fréchet distance on
test images. `--reconstruction-only` leaves the flow out, for comparison. A run
that was killed goes on.

    python examples/ports/autoencoder.py
    python examples/ports/autoencoder.py --reconstruction-only --output runs/vq
"""

import argparse
import pathlib
import sys

import keras
import numpy as np
from keras import layers, ops

import keras_monoflow as kmf

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
from mnist import score, train_classifier


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--epochs", type=int, default=6, help="passes over the data")
    add("--filters", type=int, default=16, help="of both networks")
    add("--reconstruction-only", action="store_true", help="without the flow")
    add("--limit", type=int, default=None, help="use only that many images")
    add("--data-dir", default=None, help="TensorFlow Datasets folder")
    path = pathlib.Path("runs/ports/autoencoder")
    add("--output", type=pathlib.Path, default=path, help="for all results")
    return parser.parse_args()


@keras.saving.register_keras_serializable("autoencoder")
class Codebook(layers.Layer):
    """Replaces vectors by the nearest code, with the gradient of the vector."""

    def __init__(self, codes=64, size=4, **arguments):
        super().__init__(**arguments)
        self.codes, self.size = codes, size
        wide = keras.initializers.RandomUniform(-1.0, 1.0)
        self.book = self.add_weight((codes, size), wide, name="book")

    def call(self, x):
        far = x[..., None, :] - ops.convert_to_tensor(self.book)
        nearest = ops.argmin(ops.sum(far**2, axis=-1), axis=-1)
        code = ops.take(self.book, nearest, axis=0)
        commitment = ops.mean((x - ops.stop_gradient(code)) ** 2)
        learning = ops.mean((code - ops.stop_gradient(x)) ** 2)
        self.add_loss(0.25 * commitment + learning)
        return x + ops.stop_gradient(code - x)

    def get_config(self):
        config = super().get_config()
        return {**config, "codes": self.codes, "size": self.size}


def make_autoencoder(filters):
    def convolution(x, size):
        return layers.Conv2D(size, 3, padding="same", activation="relu")(x)

    image = x = keras.Input((28, 28, 1))
    for size in (filters, 2 * filters):
        x = layers.MaxPooling2D()(convolution(x, size))
    x = Codebook()(layers.Conv2D(4, 1)(convolution(x, 2 * filters)))
    for size in (2 * filters, filters):
        x = layers.UpSampling2D()(convolution(x, size))
    x = layers.Conv2D(1, 3, padding="same", activation="tanh")(x)
    return keras.Model(image, x)


def main():
    arguments = parse_arguments()
    keras.utils.set_random_seed(0)
    images, labels = kmf.datasets.load_images(
        "mnist", data_dir=arguments.data_dir, with_labels=True
    )
    images, labels = images[: arguments.limit], labels[: arguments.limit]
    data = kmf.datasets.ShuffledDataset(images, images, batch_size=64)
    alone = arguments.epochs if arguments.reconstruction_only else 2
    model = kmf.MonoFlowGAN(
        make_autoencoder(arguments.filters),
        kmf.networks.patch_discriminator(
            (28, 28, 1), filters=arguments.filters
        ),
        prior=None,  # The condition of the generator is the image itself.
        seed=0,
    )
    model.compile(
        keras.optimizers.Adam(1e-3, 0.5),
        keras.optimizers.Adam(1e-3, 0.5),
        # (Of absolute values alone, black images are a minimum.)
        generator_terms=[kmf.terms.Reconstruction("l2", weight="balanced")],
        generator_warmup=alone * len(data),
        penalty=kmf.penalties.R1(0.01),
        reuse_generated=True,
    )
    output = arguments.output
    backup = kmf.callbacks.BackupAndRestore(output / "backup")
    grid = kmf.callbacks.SampleGrid(output, rows=6, columns=6)
    model.fit(data, epochs=arguments.epochs, callbacks=[grid, backup])
    test = kmf.datasets.load_images(
        "mnist", split="test", data_dir=arguments.data_dir
    )
    again = model.predict(test, batch_size=500, verbose=0)
    found = score(again, train_classifier(images, labels), test)
    print(f"mean absolute error: {np.abs(again - test).mean():.4f}")
    print(f"Fréchet distance: {found['fid']:.2f}")


if __name__ == "__main__":
    main()
