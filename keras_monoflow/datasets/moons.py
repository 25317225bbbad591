"""Two interleaved half circles."""

import numpy as np

from keras_monoflow.arguments import check_integer, check_number
from keras_monoflow.typing import Array


def two_moons(
    n: int,
    noise: float = 0.05,
    seed: int | np.random.Generator | None = None,
) -> Array:
    """Draws points along two interleaved half circles.

    The curves are those of scikit-learn's `make_moons`, for `t` in `[0, π]`:
    the outer moon `(cos t, sin t)` and the inner one
    `(1 - cos t, 1/2 - sin t)`. The points are evenly spaced along each curve,
    their numbers on the two differ by at most one, and the rows are shuffled.

    Args:
        n: Integer, the number of points.
        noise: Number, the standard deviation of the Gaussian noise on each
            coordinate, in data units. Defaults to `0.05`.
        seed: Integer, `np.random.Generator` or `None`. An integer gives the
            same points at every call. Defaults to `None`, new points.

    Returns:
        Float32 array of shape `(n, 2)`.

    Raises:
        TypeError: If `n` is not an integer or `noise` is not a number.
        ValueError: If `n < 1` or `noise` is negative or not finite.

    Example:

    ```python
    import keras_monoflow as kmf

    points = kmf.datasets.two_moons(500, seed=0)
    print(points.shape)  # (500, 2)
    ```
    """
    n = check_integer("n", n, minimum=1)
    noise = check_number("noise", noise, minimum=0.0)
    rng = np.random.default_rng(seed)
    outer = np.linspace(0.0, np.pi, n - n // 2)
    inner = np.linspace(0.0, np.pi, n // 2)
    x = np.concatenate([np.cos(outer), 1.0 - np.cos(inner)])
    y = np.concatenate([np.sin(outer), 0.5 - np.sin(inner)])
    points = rng.permutation(np.stack([x, y], axis=1))
    return (points + noise * rng.standard_normal((n, 2))).astype("float32")
