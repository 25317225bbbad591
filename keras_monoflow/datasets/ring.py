"""Gaussians on a circle, the usual toy for lost modes."""

import numpy as np

from keras_monoflow.arguments import check_integer
from keras_monoflow.datasets.checks import check_length
from keras_monoflow.datasets.mixture import sample_mixture


def ring_centres(modes=8, radius=2.0):
    """Return the centres of `gaussian_ring`.

    Centre `k` is `radius * (cos(2 π k / modes), sin(2 π k / modes))`.

    Args:
        modes: Integer, the number of modes. Defaults to `8`.
        radius: Number, the radius of the circle in data units. Defaults to
            `2.0`.

    Returns:
        Float32 array of shape `(modes, 2)`, in data units.

    Raises:
        TypeError: If `modes` is no integer or `radius` no number.
        ValueError: If `modes < 1` or `radius` is negative or not finite.

    Example:

    ```python
    import keras_monoflow as kmf

    centres = kmf.datasets.ring_centres(modes=4, radius=1.0)
    print(centres.shape)  # (4, 2)
    ```
    """
    modes = check_integer("modes", modes, minimum=1)
    radius = check_length("radius", radius)
    angles = 2.0 * np.pi * np.arange(modes) / modes
    centres = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return centres.astype("float32")


def gaussian_ring(n, modes=8, radius=2.0, std=0.1, seed=None):
    """Draw points from Gaussians whose centres lie on a circle.

    The defaults are the eight Gaussians on which generators are known to lose
    modes. The sample is balanced: the numbers of points of two modes
    differ by at most one, and the rows are shuffled.

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
        TypeError: If `n` or `modes` is no integer, or a length no number.
        ValueError: If `n` or `modes` is below 1, or `radius` or `std` is
            negative or not finite.

    Example:

    ```python
    import keras_monoflow as kmf

    points = kmf.datasets.gaussian_ring(1000, seed=0)
    print(points.shape)  # (1000, 2)
    ```
    """
    n = check_integer("n", n, minimum=1)
    std = check_length("std", std)
    return sample_mixture(ring_centres(modes, radius), n, std, seed)
