"""Batches with several rows of each of a few classes."""

from typing import Any

import numpy as np

from keras_monoflow.arguments import check_integer
from keras_monoflow.data import class_numbers
from keras_monoflow.datasets.shuffled_dataset import ShuffledDataset
from keras_monoflow.typing import ArrayLike


class ClassBatches(ShuffledDataset):
    """Batches of `classes` classes with `rows` rows each, in a fixed order.

    A conditional `SampleFlow` compares samples with those of their own class
    alone, which needs several of each in a batch. With many classes, a batch
    that is drawn from all rows has one or two.

    The classes of a batch are drawn without replacement, each in proportion to
    its number of rows, and the rows of a class in a random order that starts
    over when all were served. The order is a function of `(seed, epoch)`, so
    that a run that was killed goes on exactly, as with `ShuffledDataset`.

    Args:
        x: Array of shape `(n, ...)`.
        y: Integers of shape `(n,)` or `(n, 1)`, the classes.
        classes: Integer, how many classes a batch has; `None` for all.
        rows: Integer, how many rows of each, at least 2.
        seed: Integer, at least 0. Defaults to `0`.

    Raises:
        TypeError: If a number or the labels are not integers.
        ValueError: If there are not so many classes, a number is out of range,
            or `x` and `y` differ in length.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    x, y = np.zeros((60, 2)), np.arange(60) % 10
    batches = kmf.datasets.ClassBatches(x, y, classes=3, rows=4)
    batches[0][1]  # 12 labels, 4 of each of 3 classes
    len(batches)  # 5, as many as there are rows for
    ```
    """

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike,
        classes: int | None = None,
        rows: int = 16,
        seed: int = 0,
    ) -> None:
        self.rows = check_integer("rows", rows, minimum=2)
        labels = class_numbers(y)
        self._rows_of: dict[Any, Any] = {
            c: np.flatnonzero(labels == c) for c in np.unique(labels)
        }
        known = len(self._rows_of)
        self.classes = check_integer(
            "classes", known if classes is None else classes, minimum=1
        )
        if self.classes > known:
            raise ValueError(
                f"`classes` must be at most {known}, the number of classes in "
                f"`y`. Received: classes={classes!r}."
            )
        size = self.classes * self.rows
        super().__init__(x, y, min(size, len(labels)), seed, True)
        self.batch_size = size

    def _order_of(self, rng: np.random.Generator) -> Any:
        names = list(self._rows_of)
        counts = np.array([len(self._rows_of[c]) for c in names])
        left: dict[Any, list[int]] = {c: [] for c in names}
        order: list[int] = []
        for _ in range(len(self)):
            chosen = rng.choice(
                len(names), self.classes, False, counts / counts.sum()
            )
            for c in (names[i] for i in chosen):
                while len(left[c]) < self.rows:
                    left[c] += list(rng.permutation(self._rows_of[c]))
                order += left[c][: self.rows]
                left[c] = left[c][self.rows :]
        return np.array(order)

    def __len__(self) -> int:
        return max(1, self._rows // (self.classes * self.rows))
