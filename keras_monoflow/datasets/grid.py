"""Gaussians on a square grid."""

import numpy as np

from keras_monoflow.arguments import check_integer
from keras_monoflow.datasets.checks import check_length
from keras_monoflow.datasets.mixture import sample_mixture


def grid_centres(side=5, spacing=2.0):
    """Return the centres of `gaussian_grid`.

    The grid is centred on the origin: each coordinate takes the values
    `spacing * (k - (side - 1) / 2)` for `k` from 0 to `side - 1`.

    Args:
        side: Integer, the number of modes along each axis. Defaults to `5`.
        spacing: Number, the distance between neighbours in data units.
            Defaults to `2.0`.

    Returns:
        Float32 array of shape `(side ** 2, 2)`, in data units.

    Raises:
        TypeError: If `side` is no integer or `spacing` no number.
        ValueError: If `side < 1` or `spacing` is negative or not finite.

    Example:

    ```python
    import keras_monoflow as kmf

    centres = kmf.datasets.grid_centres(side=3, spacing=1.0)
    print(centres.shape)  # (9, 2)
    ```
    """
    side = check_integer("side", side, minimum=1)
    spacing = check_length("spacing", spacing)
    line = spacing * (np.arange(side) - (side - 1) / 2)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1)
    return grid.reshape(-1, 2).astype("float32")


def gaussian_grid(n, side=5, spacing=2.0, std=0.05, seed=None):
    """Draw points from Gaussians whose centres form a square grid.

    The defaults are the usual 25 Gaussians. The sample is balanced: the
    numbers of points of two modes differ by at most one, and the rows
    are shuffled.

    Args:
        n: Integer, the number of points.
        side: Integer, the number of modes along each axis, so that there are
            `side ** 2`. Defaults to `5`.
        spacing: Number, the distance between neighbours in data units.
            Defaults to `2.0`.
        std: Number, the standard deviation of each Gaussian in each
            coordinate, in data units. Defaults to `0.05`.
        seed: Integer, `np.random.Generator` or `None`. An integer gives the
            same points at every call. Defaults to `None`, new points.

    Returns:
        Float32 array of shape `(n, 2)`.

    Raises:
        TypeError: If `n` or `side` is no integer, or a length no number.
        ValueError: If `n` or `side` is below 1, or `spacing` or `std` is
            negative or not finite.

    Example:

    ```python
    import keras_monoflow as kmf

    points = kmf.datasets.gaussian_grid(1000, seed=0)
    print(points.shape)  # (1000, 2)
    ```
    """
    n = check_integer("n", n, minimum=1)
    std = check_length("std", std)
    return sample_mixture(grid_centres(side, spacing), n, std, seed)
