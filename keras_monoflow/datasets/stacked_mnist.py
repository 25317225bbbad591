"""Three digits in the channels of one image: a thousand modes."""

import os
from typing import Any

import numpy as np

from keras_monoflow.arguments import check_integer
from keras_monoflow.datasets.images import load_images
from keras_monoflow.typing import Array

CHANNELS = 3


def stacked_mnist(
    n: int = 50_000,
    seed: int | None = None,
    split: str = "train",
    data_dir: str | os.PathLike | None = None,
    size: int | None = None,
    with_labels: bool = False,
    download: bool = True,
) -> Any:
    """Stacks three digits of MNIST, drawn at random, as the channels of images.

    The thousand combinations of classes are modes of which a generator should
    miss none. Count them with `kmf.metrics.ClassCoverage`, whose `details` have
    the divergence from equal shares as well, and a classifier of the stacks.

    Args:
        n: Integer, the number of images; each takes 9 kB.
        seed: Integer for the same images every time, or `None`.
        split: As in `load_images`.
        data_dir: As there.
        size: As there, for example 32.
        with_labels: Whether to return labels from 0 to 999 too; the digits of
            the number are the classes of the channels.
        download: As in `load_images`.

    Returns:
        Float32 array `(n, height, width, 3)` with values in `[-1, 1]`. With
        `with_labels=True` a tuple of it and an integer array `(n,)`.

    Raises:
        As `load_images`; TypeError, ValueError: If `n` is not a positive
            integer, or `seed` is neither `None` nor an integer, at least 0.

    Source: Metz et al. 2017, arXiv 1611.02163, section 3.3.1.

    Example:

    ```python
    import keras_monoflow as kmf

    images, labels = kmf.datasets.stacked_mnist(1000, seed=0, with_labels=True)
    ```
    """
    check_integer("n", n, minimum=1)
    if seed is not None:
        check_integer("seed", seed, minimum=0)
    images, classes = load_images(
        "mnist",
        split=split,
        data_dir=data_dir,
        size=size,
        download=download,
        with_labels=True,
    )
    stacks, labels = stack(images, classes, n, seed)
    return (stacks, labels) if with_labels else stacks


def stack(
    images: Array, classes: Array, n: int, seed: int | None
) -> tuple[Array, Array]:
    """Returns stacks of images with one channel, and their labels.

    Args:
        images: Array `(m, height, width, 1)`.
        classes: Integers from 0 to 9, `(m,)`.
        n: How many.
        seed: Integer or `None`.
    """
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(images), size=(n, CHANNELS))
    stacks = np.stack([images[rows[:, c], ..., 0] for c in range(CHANNELS)], -1)
    return stacks, classes[rows] @ np.array([100, 10, 1])
