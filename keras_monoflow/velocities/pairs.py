"""All pairs of generated rows and others, at once or in blocks of rows."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from keras import ops
from keras.tree import map_structure

from keras_monoflow.typing import Tensor
from keras_monoflow.velocities.guidance import guided
from keras_monoflow.velocities.neighbors import LOG_ZERO, Neighbors
from keras_monoflow.velocities.rows import equal_labels, without_own

#: No array of more pairs than this is made: 32 MB of float32.
MOST_PAIRS = 2**23

#: What is computed of the neighbors that attract, and those that repel.
OfSides = Callable[[Neighbors, Neighbors], Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """Generated rows, and for each of them those that attract and repel it.

    A velocity asks for all neighbors by `real` and `other`, or, so that the
    memory for a large batch is bounded, for what can be computed block by
    block: `map`, `unit` and `log_sum`.

    Args:
        y: Generated rows, `(n, d)`.
        x: Real rows, `(m, d)`.
        z: Generated rows that repel, `(k, d)`.
        repels_itself: Whether a row of `y` repels itself where it is in `z`.
        labels: Those of `y`, of `x` and of `z`, `(rows, numbers)` each, or
            `None`. Only neighbors with the label of a row count.
        guidance: How strongly real rows with other labels repel, `(n,)`, or
            `None`.
        block: How many rows are looked at at a time, or `None` for all.
    """

    y: Any
    x: Any
    z: Any
    repels_itself: bool = True
    labels: Any = None
    guidance: Any = None
    block: Any = None

    @functools.cached_property
    def sides(self) -> tuple[Neighbors, Neighbors]:
        """The neighbors of all generated rows that attract, and that repel."""
        return self.neighbors()

    @property
    def real(self) -> Neighbors:
        return self.sides[0]

    @property
    def other(self) -> Neighbors:
        return self.sides[1]

    def neighbors(self, rows: Any = None) -> tuple[Neighbors, Neighbors]:
        """Returns the neighbors of some generated rows that attract, and those
        that repel.

        Args:
            rows: The numbers of the rows, or `None` for all.
        """

        def some(values: Tensor) -> Tensor:
            return values if rows is None else ops.take(values, rows, axis=0)

        y = some(self.y)
        same_real: Any = None
        same_other: Any = None
        if self.labels is not None:
            own, of_x, of_z = self.labels
            same_real = equal_labels(some(own), of_x, y.dtype)
            same_other = equal_labels(some(own), of_z, y.dtype)
        if not self.repels_itself:
            numbers = some(ops.arange(ops.shape(self.y)[0]))
            same_other = without_own(same_other, numbers, self.z)
        attract = Neighbors(y, self.x, same_real)
        repel = Neighbors(y, self.z, same_other)
        if self.guidance is not None:
            strangers = Neighbors(y, self.x, 1.0 - same_real)
            repel = guided(repel, strangers, some(self.guidance))
        return attract, repel

    def map(self, function: OfSides) -> Any:
        """Returns `function(real, other)`, tensors with a number or a vector
        for each generated row."""
        if self.block is None:
            return function(*self.sides)
        n = ops.shape(self.y)[0]
        parts = self._in_blocks(
            lambda rows: function(*self.neighbors(ops.minimum(rows, n - 1)))
        )
        return map_structure(
            lambda part: ops.reshape(part, (-1, *part.shape[2:]))[:n], parts
        )

    def log_sum(self, function: OfSides) -> Tensor:
        """Returns `log sum_i exp(function(real, other)_ij)`, `(m,)`.

        Args:
            function: Its values are of shape `(n, m)`, for `n` generated rows.
        """
        if self.block is None:
            return ops.logsumexp(function(*self.sides), axis=0)
        n = ops.shape(self.y)[0]

        # (The sums of all blocks, stacked, could be more than all pairs.)
        def add(i: Any, total: Tensor) -> Tensor:
            rows = i * self.block + ops.arange(self.block)
            values = function(*self.neighbors(ops.minimum(rows, n - 1)))
            counts = (rows < n)[:, None]
            values = ops.where(counts, values, LOG_ZERO)
            return ops.logaddexp(total, ops.logsumexp(values, axis=0))

        of_one = function(*self.neighbors(ops.arange(1)))[0]
        nothing = ops.full_like(of_one, LOG_ZERO)
        return ops.fori_loop(0, -(-n // self.block), add, nothing)

    def unit(self, values: Callable[..., list]) -> Tensor:
        """Returns the mean over all pairs that count, a scalar; 1 where it is
        0, so that anything can be divided by it.

        Args:
            values: A function of `(real, other)` that returns one or two pairs
                of a side and what there is of it, `(n, m)`.
        """

        def totals(real: Neighbors, other: Neighbors) -> Any:
            parts = [side.total(v) for side, v in values(real, other)]
            return sum(s for s, _ in parts), sum(count for _, count in parts)

        total, count = self.map(totals)
        mean = ops.sum(total) / ops.maximum(ops.sum(count), 1.0)
        return ops.where(mean > 0, mean, ops.ones_like(mean))

    def _in_blocks(self, function: Callable[[Tensor], Any]) -> Any:
        """Returns `function(rows)` for all blocks of row numbers, stacked. The
        last block runs over the end."""
        n, block = ops.shape(self.y)[0], self.block
        starts = ops.arange(-(-n // block)) * block
        steps = ops.arange(block)
        return ops.map(lambda start: function(start + steps), starts)

    def in_blocks(self) -> "Pairs":
        """Returns the same pairs, of which as many rows are looked at at a
        time as are allowed."""
        n, block = ops.shape(self.y)[0], MOST_PAIRS // self._most_neighbors()
        if isinstance(block, int):
            block = min(max(1, block), n)
        else:
            block = ops.minimum(ops.maximum(1, block), n)
        return dataclasses.replace(self, block=block)

    def are_too_many(self) -> Any:
        """Returns whether there are too many to be looked at at once, a boolean
        or, where TensorFlow does not know the size of a batch yet, a tensor."""
        return ops.shape(self.y)[0] * self._most_neighbors() > MOST_PAIRS

    def _most_neighbors(self) -> Any:
        real, other = (ops.shape(points)[0] for points in (self.x, self.z))
        return real + other  # (With guidance, both repel.)
