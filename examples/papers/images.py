"""Images, networks and judges that the claims on images share.

`digits`, the 8x8 ones of scikit-learn, need no files. MNIST and CIFAR-10 come
from TensorFlow Datasets, whose folder is that of `TFDS_DATA_DIR`.
"""

import functools
import inspect
import os
import time
import zlib
from typing import Any

import keras
import numpy as np
from claims import FOLDER
from keras import layers

import keras_monoflow as kmf

SHAPES = {"digits": (8, 8, 1), "mnist": (28, 28, 1), "cifar10": (32, 32, 3)}
STAGES = {"digits": 2, "mnist": 2, "cifar10": 3}
#: The classifiers that judge: first feature maps, and passes over the data.
FILTERS = {"digits": 32, "mnist": 32, "cifar10": 16}
EPOCHS = {"digits": 20, "mnist": 2, "cifar10": 6}
#: How many samples they judge.
SAMPLES = {"digits": 1000, "mnist": 5000, "cifar10": 5000}
#: Rounds between two calls of `fit`, so that the images drawn fit into memory.
STRETCH = 100


@functools.cache
def load(name: str, split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """Images in [-1, 1] and their labels. Of `digits` the last 500, in an order
    that all runs share, are the test images."""
    if name != "digits":
        return kmf.datasets.load_images(name, split=split, with_labels=True)
    from sklearn import datasets

    images, labels = datasets.load_digits(return_X_y=True)
    images = (images / 8.0 - 1.0).astype("float32").reshape(-1, 8, 8, 1)
    order = np.random.default_rng(0).permutation(len(images))
    part = slice(None, -500) if split == "train" else slice(-500, None)
    return images[order][part], labels[order][part]


@functools.cache
def classifier(name: str) -> keras.Model:
    """A network that names images, trained on the training images, and kept in
    `runs/papers` for the runs to come."""
    # One of other settings is another one.
    source = inspect.getsource(classifier.__wrapped__)
    settings = f"{FILTERS[name]}{EPOCHS[name]}{SHAPES[name]}"
    key = zlib.crc32(f"{source}{settings}".encode())
    backend = keras.backend.backend()
    folder = FOLDER.parents[1] / "runs" / "papers"
    path = folder / f"{name}_classifier_{backend}_{key:08x}.keras"
    if path.exists():
        return keras.saving.load_model(path)
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input(SHAPES[name])])
    if name == "cifar10":
        network.add(layers.RandomFlip("horizontal", seed=0))
    for i in range(STAGES[name]):
        for _ in range(2 if name == "cifar10" else 1):
            network.add(layers.Conv2D(FILTERS[name] * 2**i, 3, padding="same"))
            network.add(layers.BatchNormalization())
            network.add(layers.ReLU())
        network.add(layers.MaxPooling2D())
    network.add(layers.Flatten())
    network.add(layers.Dense(64, "relu"))
    network.add(layers.Dense(10, "softmax"))
    network.compile(
        keras.optimizers.Adam(1e-3),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    network.fit(*load(name), batch_size=128, epochs=EPOCHS[name], verbose=2)
    _, accuracy = network.evaluate(*load(name, "test"), verbose=0)
    print(f"the classifier names {accuracy:.1%} of the {name} test images")
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f"{os.getpid()}.keras"
    network.save(new)
    os.replace(new, path)
    return network


def judge(name: str, samples: np.ndarray) -> dict[str, float]:
    """Samples beside the test images: the Fréchet and the kernel distance of
    the classifier's features, how sure it is, and how many classes have 1
    percent or more."""
    network = classifier(name)
    features = keras.Model(network.inputs[0], network.layers[-2].output)
    frechet = kmf.metrics.FrechetDistance(features)
    kernel = kmf.metrics.KernelDistance(features)
    coverage = kmf.metrics.ClassCoverage(
        network, minimum_samples=len(samples) // 100
    ).details(None, samples)
    real = load(name, "test")[0]
    return {
        "fid": float(frechet(real, samples)),
        "kernel": float(kernel(real, samples)),
        "confidence": float(coverage["confidence"]),
        "classes": int(coverage["classes"]),
    }


@functools.cache
def floor(name: str) -> dict[str, float]:
    """The same for as many training images."""
    return judge(name, load(name)[0][: SAMPLES[name]])


def networks(name: str, seed: int, filters: int, **discriminator: Any) -> list:
    """DCGANs, whose latent points have 64 dimensions, or 16 for `digits`."""
    keras.utils.set_random_seed(seed)
    options = {
        "image_shape": SHAPES[name],
        "stages": STAGES[name],
        "filters": filters,
        "seed": seed,
    }
    latent = 16 if name == "digits" else 64
    return [
        kmf.networks.dcgan_generator(latent, **options),
        kmf.networks.dcgan_discriminator(**options, **discriminator),
    ]


def train(
    model: Any, name: str, seed: int, batch: int, rounds: int, looks: int = 1
) -> list[dict[str, float]]:
    """Trains on images drawn with replacement, and judges samples `looks` times
    at even distances: at the rounds that are done and the seconds of training
    after the first rounds, which compile."""
    images, _ = load(name)
    rng = np.random.default_rng(seed)
    seen, seconds, done = [], 0.0, 0
    while done < rounds:
        stretch = min(STRETCH, rounds // looks - done % (rounds // looks))
        rows = images[rng.integers(len(images), size=batch * stretch)]
        started = time.process_time()
        model.fit(rows, batch_size=batch, shuffle=False, verbose=0)
        if done:
            seconds += time.process_time() - started
        done += stretch
        if done % (rounds // looks) == 0:
            samples = model.sample(SAMPLES[name], seed=0)
            times = {"rounds": done, "seconds": round(seconds, 1)}
            seen.append({**times, **judge(name, samples)})
    return seen


def packed(images: np.ndarray) -> str:
    """Images as a text for a file of results."""
    pixels = np.clip(np.round(127.5 * (images + 1.0)), 0, 255)
    return zlib.compress(pixels.astype("uint8").tobytes(), 9).hex()


def unpacked(text: str, shape: tuple[int, ...]) -> np.ndarray:
    """The images of such a text, `(n, *shape)`, from 0 to 255."""
    data = zlib.decompress(bytes.fromhex(text))
    return np.frombuffer(data, "uint8").reshape(-1, *shape)
