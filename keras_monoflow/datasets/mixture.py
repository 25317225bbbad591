"""Balanced samples of a mixture of round Gaussians."""

import numpy as np


def sample_mixture(centres, n, std, seed):
    """Return `n` shuffled points, spread evenly over `centres`.

    The number of points of two modes differs by at most one. Which modes get
    the extra points, when `n` is no multiple of the modes, is drawn.
    """
    rng = np.random.default_rng(seed)
    modes = rng.permutation(len(centres))[np.arange(n) % len(centres)]
    points = centres[rng.permutation(modes)]
    return (points + std * rng.standard_normal((n, 2))).astype("float32")
