"""Samples in groups, as the discriminator of PacGAN sees them."""

from typing import Any

import numpy as np
from keras import ops

from keras_monoflow.typing import Tensor


class Packs:
    """Groups of `size` samples that are one input of the discriminator.

    `n` rows become `g = ceil(n / size)` groups. Row `i` stands in group
    `i mod g`; what a last incomplete round of groups lacks are the first rows
    again. Within a group, samples stand side by side along the last axis,
    images as further channels.

    Args:
        size: Integer, at least 1; 1 for samples as they are.

    Source: Lin et al. 2018, arXiv 1712.04086, section 3.
    """

    def __init__(self, size: int = 1) -> None:
        self.size = size

    def joined_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Returns the shape of a group of samples of a shape."""
        if self.size == 1:
            return tuple(shape)
        *others, last = shape or (1,)
        return (*others, None if last is None else self.size * last)

    def explanation(self, joined: Any) -> str:
        """Returns the end of a message on shapes that do not fit."""
        if self.size == 1:
            return ""
        return f": with pack={self.size} a group has the shape {joined}"

    def join(self, rows: Tensor | None) -> Tensor | None:
        """Returns `n` rows as groups, or `None` for `None`.

        Args:
            rows: Tensor `(n, ..., c)`, or `(n,)`, of which a group is
                `(size,)`.

        Returns:
            A tensor `(g, ..., size * c)`.
        """
        if self.size == 1 or rows is None:
            return rows
        rows = ops.convert_to_tensor(rows)
        n = ops.shape(rows)[0]
        if not isinstance(n, int) or n % self.size:
            rows = ops.take(
                rows, ops.arange(self._groups(n) * self.size) % n, 0
            )
        if len(rows.shape) == 1:
            rows = rows[:, None]
        groups = ops.reshape(rows, (self.size, -1, *rows.shape[1:]))
        return self.side_by_side(ops.swapaxes(groups, 0, 1), rows.shape[1:])

    def side_by_side(self, groups: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Returns the rows of each group side by side along the last axis.

        Args:
            groups: Tensor `(g, size, ...)`.
            shape: What each row is reshaped to, `(..., c)`.

        Returns:
            A tensor `(g, ..., size * c)`; `(g, ...)` for groups of one.
        """
        reshape = np.reshape if isinstance(groups, np.ndarray) else ops.reshape
        if self.size == 1:
            return reshape(groups, (-1, *shape))
        *others, last = shape or (1,)
        groups = reshape(groups, (-1, self.size, *others, last))
        groups = ops.moveaxis(groups, 1, -2)
        return reshape(groups, (-1, *others, self.size * last))

    def spread(self, values: Tensor, n: int) -> Tensor:
        """Returns for each of `n` rows the value of its group.

        Args:
            values: Tensor with `g` rows.
            n: How many rows made the groups.
        """
        if self.size == 1:
            return values
        return ops.take(values, ops.arange(n) % self._groups(n), 0)

    def share(self, n: Any, dtype: str) -> Any:
        """Returns `n / g`, what the gradient of a mean over `g` groups is to be
        multiplied with to give that of `n` samples."""
        if self.size == 1:
            return 1.0
        return ops.cast(n, dtype) / ops.cast(self._groups(n), dtype)

    def _groups(self, n: Any) -> Any:
        return (n + self.size - 1) // self.size


#: No groups.
ONE_BY_ONE = Packs(1)
