"""Checks of the networks' arguments, and the seeds of their layers."""

import zlib
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from keras_monoflow.arguments import check_integer

#: A seed for each layer, from `seed_stream`.
Seeds: TypeAlias = Iterator[int | None]


def check_image_shape(
    image_shape: Sequence[int], stages: int, halvings: int | None = None
) -> tuple[int, int, int]:
    """Returns `image_shape` as three integers.

    Args:
        image_shape: What the user passed.
        stages: Likewise.
        halvings: How often images are halved. Defaults to `stages`.

    Raises:
        TypeError, ValueError: If it is anything else, or the sides cannot be
            halved so often.
    """
    shape = tuple(np.atleast_1d(image_shape).tolist())
    if len(shape) != 3:
        raise ValueError(
            "`image_shape` must be `(height, width, channels)`. "
            f"Received: image_shape={image_shape!r}"
        )
    height, width, channels = (
        check_integer("image_shape", side, minimum=1) for side in shape
    )
    factor = 2 ** (stages if halvings is None else halvings)
    if height % factor or width % factor:
        raise ValueError(
            f"`image_shape` must have a height and width divisible by {factor} "
            f"for `stages={stages}`: lower `stages`, or pad, crop or resize "
            "the images. "
            f"Received: image_shape={image_shape!r}"
        )
    return height, width, channels


def check_widths(filters: int | Sequence[int], stages: int) -> list[int]:
    """Returns one width for each stage, from one for all or a list of them."""
    if isinstance(filters, (list, tuple)):
        widths = [check_integer("filters", w, minimum=1) for w in filters]
    else:
        widths = [check_integer("filters", filters, minimum=1)] * stages
    if len(widths) != stages:
        raise ValueError(
            f"`filters` must be one integer, or one for each of the {stages} "
            f"stages. Received: filters={filters!r}, stages={stages}"
        )
    return widths


def check_classes(classes: int | None) -> int | None:
    """Returns `classes` as an integer, or `None` for no labels."""
    if classes is None:
        return None
    return check_integer("classes", classes, minimum=1)


def seed_stream(seed: int | None, network: str) -> Seeds:
    """Yields a seed for every layer, or `None` forever if `seed` is `None`.

    Initializers with the same integer and shape give the same weights, so
    every layer needs its own, and so do a generator and a discriminator that
    are built with the same seed.

    Args:
        seed: Integer, at least 0, or `None`. With `None` Keras draws from the
            state that `keras.utils.set_random_seed` sets.
        network: String, which network the layers belong to.
    """
    if seed is not None:
        seed = check_integer("seed", seed, minimum=0)
        rng = np.random.default_rng((seed, zlib.crc32(network.encode())))
    while True:
        yield None if seed is None else int(rng.integers(2**31 - 1))
