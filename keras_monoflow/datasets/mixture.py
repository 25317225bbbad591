"""Balanced samples of a mixture of round Gaussians."""

import numpy as np

from keras_monoflow.typing import Array


def sample_mixture(
    centers: Array,
    n: int,
    std: float,
    seed: int | np.random.Generator | None,
) -> Array:
    """Returns `n` shuffled points, spread evenly over `centers`.

    The number of points of two modes differs by at most one. Which modes get
    the extra points, when `n` is not a multiple of the
    modes, is drawn.
    """
    rng = np.random.default_rng(seed)
    modes = rng.permutation(len(centers))[np.arange(n) % len(centers)]
    points = centers[rng.permutation(modes)]
    return (points + std * rng.standard_normal((n, 2))).astype("float32")
