"""A checkerboard, whose samples fill squares evenly."""

import numpy as np

from keras_monoflow.arguments import check_integer, check_number
from keras_monoflow.typing import Array


def checkerboard(
    n: int,
    side: int = 4,
    width: float = 1.0,
    seed: int | np.random.Generator | None = None,
) -> Array:
    """Draws points from the dark squares of a checkerboard around the origin.

    The density is constant on the squares `(i, j)` with even `i + j`, among
    `side` in each direction, and 0 elsewhere: sharp edges and no modes. The
    sample is balanced: the numbers of points of two squares differ by at most
    one, and the rows are shuffled.

    Args:
        n: Integer, the number of points.
        side: Integer, the number of squares in each direction. Defaults to
            `4`.
        width: Positive number, the side of a square in data units. Defaults to
            `1.0`.
        seed: Integer, `np.random.Generator` or `None`. An integer gives the
            same points at every call. Defaults to `None`, new points.

    Returns:
        Float32 array of shape `(n, 2)`.

    Raises:
        TypeError: If `n` or `side` is not an integer, or `width` is not a
            number.
        ValueError: If one is not positive.

    Example:

    ```python
    import keras_monoflow as kmf

    points = kmf.datasets.checkerboard(1000, seed=0)
    print(points.shape)  # (1000, 2)
    ```
    """
    n = check_integer("n", n, minimum=1)
    side = check_integer("side", side, minimum=1)
    width = check_number("width", width, above=0)
    rng = np.random.default_rng(seed)
    squares = np.argwhere(np.indices((side, side)).sum(0) % 2 == 0)
    order = rng.permutation(len(squares))[np.arange(n) % len(squares)]
    corners = squares[rng.permutation(order)] - side / 2
    points = width * (corners + rng.uniform(size=(n, 2)))
    return points.astype("float32")
