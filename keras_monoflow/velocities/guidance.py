"""How strongly rows of other classes repel."""

from typing import Any

import keras
from keras import ops

from keras_monoflow.arguments import check_number
from keras_monoflow.typing import Seed, Tensor
from keras_monoflow.velocities.neighbors import Neighbors


def check_guidance(guidance: Any) -> float | tuple[float, float]:
    """Returns a number, or a pair of increasing ones, all at least 1.

    Raises:
        TypeError, ValueError: If it is something else.
    """
    if not isinstance(guidance, (tuple, list)):
        return check_number(
            "guidance",
            guidance,
            minimum=1,
            hint="1 is none; a pair (low, high) draws one for each row.",
        )
    if len(guidance) != 2:
        raise ValueError(
            "`guidance` must be a number or a pair (low, high). Received: "
            f"guidance={guidance!r}."
        )
    low, high = (check_number("guidance", g, minimum=1) for g in guidance)
    if not low < high:
        raise ValueError(
            "`guidance` must be a pair (low, high) with low < high. Received: "
            f"guidance={guidance!r}."
        )
    return low, high


def draw_guidance(
    guidance: float | tuple[float, float], y: Tensor, seed: Seed
) -> Tensor:
    """Returns the guidance of the rows of `y`, `(n,)`.

    Between `low` and `high` with the density `g^-3`, as Deng et al. 2026
    (arXiv 2602.04770) draw it: `g = (low^-2 - r (low^-2 - high^-2))^(-1/2)` for
    `r` uniform on `[0, 1]`.
    """
    if not isinstance(guidance, tuple):
        return guidance * ops.ones_like(y[:, 0])
    low, high = guidance
    draws = keras.random.uniform(ops.shape(y)[:1], dtype=y.dtype, seed=seed)
    return (low**-2 - draws * (low**-2 - high**-2)) ** -0.5


def guided(
    repel: Neighbors, strangers: Neighbors, strength: Tensor
) -> Neighbors:
    """Adds rows of other classes to those that repel.

    The repelling distribution becomes `(1 - s) q(x|c) + s p(x|not c)`, with
    `s = 1 - 1 / g`. A row without strangers is repelled as before.
    """
    own, foreign = repel.shares(), strangers.shares()
    share = (1.0 - 1.0 / strength)[:, None] * strangers.exist()
    weights = ops.concatenate([(1.0 - share) * own, share * foreign], axis=1)
    points = ops.concatenate([repel.points, strangers.points], axis=0)
    return Neighbors(repel.y, points, weights)
