"""Generated images beside what they were made from, and what they should be."""

import numpy as np

from keras_monoflow.typing import Array


def are_images_like(images: Array, samples: Array) -> bool:
    """Returns whether conditions are images that can stand beside samples."""
    if images.ndim < 3:
        return False
    channels = {a.shape[-1] for a in (images, samples) if a.ndim == 4}
    return images.shape[1:3] == samples.shape[1:3] and channels <= {1, 3}


def side_by_side(
    sources: Array, samples: Array, targets: Array | None
) -> tuple[Array, int]:
    """Returns images in rows of a source, its samples, and the target.

    Args:
        sources: Array `(n, height, width[, channels])`.
        samples: Array `(n * k, height, width[, channels])`, `k` of each source.
        targets: Array like the sources, or `None`.

    Returns:
        All images, with as many channels, and how many belong together.
    """
    parts = [sources, samples] + ([] if targets is None else [targets])
    parts = [p if p.ndim == 4 else p[..., None] for p in parts]
    channels = max(p.shape[-1] for p in parts)
    height, width = sources.shape[1:3]
    groups = [
        np.broadcast_to(p, (*p.shape[:3], channels)).reshape(
            len(sources), -1, height, width, channels
        )
        for p in parts
    ]
    rows = np.concatenate(groups, axis=1)
    return rows.reshape(-1, height, width, channels), rows.shape[1]
