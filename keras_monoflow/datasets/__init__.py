"""Toy distributions, images, and batches in a reproducible order."""

from keras_monoflow.datasets.grid import gaussian_grid, grid_centres
from keras_monoflow.datasets.images import load_images
from keras_monoflow.datasets.moons import two_moons
from keras_monoflow.datasets.ring import gaussian_ring, ring_centres
from keras_monoflow.datasets.shuffled_dataset import ShuffledDataset

__all__ = [
    "ShuffledDataset",
    "gaussian_grid",
    "gaussian_ring",
    "grid_centres",
    "load_images",
    "ring_centres",
    "two_moons",
]
