"""Gaussians on a circle, the usual toy for lost modes."""

import numpy as np

from keras_monoflow.arguments import check_integer, check_number
from keras_monoflow.datasets.mixture import sample_mixture
from keras_monoflow.typing import Array


def ring_centers(modes: int = 8, radius: float = 2.0) -> Array:
    """Returns the centers of `gaussian_ring`.

    Center `k` is `radius * (cos(2 π k / modes), sin(2 π k / modes))`.

    Args:
        modes: Integer, the number of modes. Defaults to `8`.
        radius: Number, the radius of the circle in data units. Defaults to
            `2.0`.

    Returns:
        Float32 array of shape `(modes, 2)`, in data units.

    Raises:
        TypeError: If `modes` is not an integer or `radius` is not a
            number.
        ValueError: If `modes < 1` or `radius` is negative or not finite.

    Example:

    ```python
    import keras_monoflow as kmf

    centers = kmf.datasets.ring_centers(modes=4, radius=1.0)
    print(centers.shape)  # (4, 2)
    ```
    """
    modes = check_integer("modes", modes, minimum=1)
    radius = check_number("radius", radius, minimum=0.0)
    angles = 2.0 * np.pi * np.arange(modes) / modes
    centers = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return centers.astype("float32")


#: The name in version 0.1.
ring_centres = ring_centers


def gaussian_ring(
    n: int,
    modes: int = 8,
    radius: float = 2.0,
    std: float = 0.1,
    seed: int | np.random.Generator | None = None,
) -> Array:
    """Draws points from Gaussians whose centers lie on a circle.

    The density is the mean over `k` of `N(x; c_k, std² I)` with the centers
    `c_k` of `ring_centers`. The defaults are the eight Gaussians on which
    generators are known to lose modes. The sample is balanced: the numbers of
    points of two modes differ by at most one, and the rows are shuffled.

    Args:
        n: Integer, the number of points.
        modes: Integer, the number of Gaussians. Defaults to `8`.
        radius: Number, the radius of the circle in data units. Defaults to
            `2.0`.
        std: Number, the standard deviation of each Gaussian in each
            coordinate, in data units. Defaults to `0.1`.
        seed: Integer, `np.random.Generator` or `None`. An integer gives the
            same points at every call. Defaults to `None`, new points.

    Returns:
        Float32 array of shape `(n, 2)`.

    Raises:
        TypeError: If `n` or `modes` is not an integer, or a length is not a
            number.
        ValueError: If `n` or `modes` is below 1, or `radius` or `std` is
            negative or not finite.

    Source: Metz et al. 2017, arXiv 1611.02163, the mixture of Gaussians.

    Example:

    ```python
    import keras_monoflow as kmf

    points = kmf.datasets.gaussian_ring(1000, seed=0)
    print(points.shape)  # (1000, 2)
    ```
    """
    n = check_integer("n", n, minimum=1)
    std = check_number("std", std, minimum=0.0)
    return sample_mixture(ring_centers(modes, radius), n, std, seed)
