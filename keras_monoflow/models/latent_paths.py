"""Paths between latent points."""

import math

import numpy as np

from keras_monoflow.typing import Array


def latent_paths(
    start: Array, end: Array, steps: int, on_sphere: bool
) -> Array:
    """Returns points from `start` to `end`, `(n, steps, *shape)`.

    Args:
        start: Points `(n, *shape)`.
        end: As many others.
        steps: How many points a path has, both ends included.
        on_sphere: Whether paths go along great circles, where the ends have
            different directions, and else along straight lines.

    Source: White 2016, arXiv 1609.04468, section 2.
    """
    shape = start.shape[1:]
    # (Not -1, which no points at all leave open.)
    rows = (len(start), 1, math.prod(shape))
    a, b = (p.reshape(rows).astype("float64") for p in (start, end))
    t = np.linspace(0.0, 1.0, steps).reshape(1, -1, 1)
    paths = (1.0 - t) * a + t * b
    if on_sphere:
        lengths = [np.linalg.norm(p, axis=-1, keepdims=True) for p in (a, b)]
        cosine = np.sum(a * b, -1, keepdims=True)
        cosine = cosine / np.maximum(lengths[0] * lengths[1], 1e-30)
        angle = np.arccos(np.clip(cosine, -1.0, 1.0))
        sine = np.sin(angle)
        is_curved = sine > 1e-6
        sine = np.where(is_curved, sine, 1.0)
        curved = np.sin((1.0 - t) * angle) * a + np.sin(t * angle) * b
        paths = np.where(is_curved, curved / sine, paths)
    return paths.reshape(len(a), steps, *shape).astype("float32")
