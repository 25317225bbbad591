"""Exports a trained generator, and runs it where this package is not loaded.

Trains a small model on eight Gaussians, exports its averaged generator as
a TensorFlow SavedModel (or ONNX), and reads the file in a second process that
does not import this package. Both must generate the same points, which a
picture shows. About a minute.

On the PyTorch backend, Keras 3.15 fails to write the SavedModel. For ONNX,
Keras needs onnxruntime and, by backend, tf2onnx, jax2onnx or onnxscript.

    python examples/export_generator.py
    python examples/export_generator.py --format onnx
"""

import argparse
import pathlib
import subprocess
import sys

import keras
import numpy as np

import keras_monoflow as kmf

READ_SAVED_MODEL = """
import sys
import numpy as np
import tensorflow as tf

folder = sys.argv[1]
generator = tf.saved_model.load(folder + "/generator")
points = generator.serve(tf.constant(np.load(folder + "/latent.npy")))
"""

READ_ONNX = """
import sys
import numpy as np
import onnxruntime

folder = sys.argv[1]
session = onnxruntime.InferenceSession(folder + "/generator.onnx")
name = session.get_inputs()[0].name
(points,) = session.run(None, {name: np.load(folder + "/latent.npy")})
"""

WRITE = """
assert "keras_monoflow" not in sys.modules
np.save(folder + "/points.npy", np.asarray(points))
"""


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    formats = ("tf_saved_model", "onnx")
    add("--format", choices=formats, default=formats[0], help="of the file")
    add("--epochs", type=int, default=5, help="epochs of 100 batches")
    path = pathlib.Path("runs/export_generator")
    add("--output", type=pathlib.Path, default=path, help="folder")
    return parser.parse_args()


def train(epochs):
    keras.utils.set_random_seed(0)
    gan = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(2, 2, seed=0),
        kmf.networks.mlp_discriminator(2, seed=0),
        seed=0,
    )
    gan.compile(
        generator_optimizer=keras.optimizers.Adam(5e-4, beta_1=0.5),
        discriminator_optimizer=keras.optimizers.Adam(1e-3, beta_1=0.5),
        penalty=kmf.penalties.R1(0.1),
        ema=0.99,
    )
    gan.fit(
        kmf.datasets.gaussian_ring(25_600, seed=0),
        batch_size=256,
        epochs=epochs,
    )
    return gan


def main():
    arguments = parse_arguments()
    output = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    gan = train(arguments.epochs)
    latent = gan.sample_latent(1000, seed=1)
    np.save(output / "latent.npy", latent)

    # A plain Keras model: everything that Keras can do with one works.
    generator = gan.averaged_generator
    suffix = "" if arguments.format == "tf_saved_model" else ".onnx"
    path = output / f"generator{suffix}"
    generator.export(path, format=arguments.format)
    generator.save(output / "generator.keras")

    read = READ_ONNX if suffix else READ_SAVED_MODEL
    subprocess.run([sys.executable, "-c", read + WRITE, output], check=True)
    points = np.load(output / "points.npy")
    difference = np.abs(points - gan.sample(1000, seed=1)).max()
    print(f"\nExported to {path}, and read without keras_monoflow:")
    print(f"{len(points)} points, largest difference {difference:.1e}")
    data = kmf.datasets.gaussian_ring(1000, seed=1)
    kmf.callbacks.plot_scatter(data, points).savefig(output / "points.png")
    print(f"Data and points: {output / 'points.png'}")


if __name__ == "__main__":
    main()
