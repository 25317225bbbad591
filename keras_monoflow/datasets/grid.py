"""Gaussians on a square grid."""

import numpy as np

from keras_monoflow.arguments import check_integer, check_number
from keras_monoflow.datasets.mixture import sample_mixture
from keras_monoflow.typing import Array


def grid_centers(side: int = 5, spacing: float = 2.0) -> Array:
    """Returns the centers of `gaussian_grid`.

    The grid is centered on the origin: each coordinate takes the values
    `spacing * (k - (side - 1) / 2)` for `k` from 0 to `side - 1`.

    Args:
        side: Integer, the number of modes along each axis. Defaults to `5`.
        spacing: Number, the distance between neighbors in data units.
            Defaults to `2.0`.

    Returns:
        Float32 array of shape `(side ** 2, 2)`, in data units.

    Raises:
        TypeError: If `side` is not an integer or `spacing` is not a
            number.
        ValueError: If `side < 1` or `spacing` is negative or not finite.

    Example:

    ```python
    import keras_monoflow as kmf

    centers = kmf.datasets.grid_centers(side=3, spacing=1.0)
    print(centers.shape)  # (9, 2)
    ```
    """
    side = check_integer("side", side, minimum=1)
    spacing = check_number("spacing", spacing, minimum=0.0)
    line = spacing * (np.arange(side) - (side - 1) / 2)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1)
    return grid.reshape(-1, 2).astype("float32")


#: The name in version 0.1.
grid_centres = grid_centers


def gaussian_grid(
    n: int,
    side: int = 5,
    spacing: float = 2.0,
    std: float = 0.05,
    seed: int | np.random.Generator | None = None,
) -> Array:
    """Draws points from Gaussians whose centers form a square grid.

    The density is the mean over `k` of `N(x; c_k, std² I)` with the centers
    `c_k` of `grid_centers`. The defaults are the usual 25 Gaussians. The
    sample is balanced: the numbers of points of two modes differ by at most
    one, and the rows are shuffled.

    Args:
        n: Integer, the number of points.
        side: Integer, the number of modes along each axis, so that there are
            `side ** 2`. Defaults to `5`.
        spacing: Number, the distance between neighbors in data units.
            Defaults to `2.0`.
        std: Number, the standard deviation of each Gaussian in each
            coordinate, in data units. Defaults to `0.05`.
        seed: Integer, `np.random.Generator` or `None`. An integer gives the
            same points at every call. Defaults to `None`, new points.

    Returns:
        Float32 array of shape `(n, 2)`.

    Raises:
        TypeError: If `n` or `side` is not an integer, or a length is not a
            number.
        ValueError: If `n` or `side` is below 1, or `spacing` or `std` is
            negative or not finite.

    Source: Srivastava et al. 2017, arXiv 1705.07761, the grid of Gaussians.

    Example:

    ```python
    import keras_monoflow as kmf

    points = kmf.datasets.gaussian_grid(1000, seed=0)
    print(points.shape)  # (1000, 2)
    ```
    """
    n = check_integer("n", n, minimum=1)
    std = check_number("std", std, minimum=0.0)
    return sample_mixture(grid_centers(side, spacing), n, std, seed)
