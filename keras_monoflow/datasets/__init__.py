"""Toy distributions, images, and batches in a reproducible order."""

from typing import TYPE_CHECKING, Any

from keras_monoflow.datasets.checkerboard import checkerboard
from keras_monoflow.datasets.class_batches import ClassBatches
from keras_monoflow.datasets.grid import (
    gaussian_grid,
    grid_centers,
    grid_centres,
)
from keras_monoflow.datasets.images import load_images
from keras_monoflow.datasets.moons import two_moons
from keras_monoflow.datasets.ring import (
    gaussian_ring,
    ring_centers,
    ring_centres,
)
from keras_monoflow.datasets.shuffled_dataset import ShuffledDataset
from keras_monoflow.datasets.stacked_mnist import stacked_mnist

if TYPE_CHECKING:
    from keras_monoflow.datasets.usps import Usps as Usps

# Not `Usps`: `import *` must work without TensorFlow Datasets.
__all__ = [
    "ClassBatches",
    "ShuffledDataset",
    "checkerboard",
    "gaussian_grid",
    "gaussian_ring",
    "grid_centers",
    "grid_centres",
    "load_images",
    "ring_centers",
    "ring_centres",
    "stacked_mnist",
    "two_moons",
]


def __getattr__(name: str) -> Any:
    # `Usps` derives from a class of TensorFlow Datasets, which is optional and
    # slow to import.
    if name == "Usps":
        from keras_monoflow.datasets.usps import Usps

        return Usps
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
