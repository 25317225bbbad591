"""Batches in an order that a restart repeats."""

from typing import Any

import keras
import numpy as np

from keras_monoflow.arguments import check_integer
from keras_monoflow.typing import Array, ArrayLike


class ShuffledDataset(keras.utils.PyDataset):
    """Shuffled batches of arrays, in an order fixed by `(seed, epoch)`.

    `fit` on arrays shuffles with a generator whose state is lost when the
    process ends, so a run that is killed and resumed sees other batches than
    one that was never interrupted. Here the order of the rows in an epoch is

    `np.random.default_rng((seed, epoch)).permutation(n)`

    and nothing else, so that the resumed run sees the same batches, provided
    that the epoch is known. The models of this package call `set_epoch` at the
    start of every epoch of `fit`. With another Keras model call it from a
    callback's `on_epoch_begin`, as in the example, and pass `shuffle=False` to
    `fit`: its default shuffles the *batches* once more, with Python's global
    generator. Leave `steps_per_epoch` unset, so that an epoch is one pass.

    Left to itself the data set starts at epoch 0 and goes on by one whenever an
    epoch ends. Keras ends one or two before the first that it trains on, so
    that only `set_epoch` makes sure which epoch is served.

    Args:
        x: Array of shape `(n, ...)`, or a dictionary or tuple of them. They
            are not copied and keep their dtypes.
        y: The same with labels or conditions, or `None`. Defaults to `None`.
        batch_size: Integer, the rows of a batch. Defaults to `32`.
        seed: Integer, at least 0. Defaults to `0`.
        drop_remainder: Boolean, whether the last batch of an epoch is left out
            when it is smaller than the others. Which rows are left out changes
            from epoch to epoch. A smaller last batch compiles the training
            step a second time on JAX. Defaults to `False`.
        part: Pair `(i, n)` of integers: only the `i`-th of `n` equal parts of
            each batch is served, as the `i`-th of `n` processes wants it that
            train together. Defaults to `(0, 1)`, whole batches.
        sample_weight: Array `(n,)` of how much each row counts, or `None`.
            Without `y` it takes the place of labels too, since Keras serves no
            weights without labels; models without conditions ignore these.

    Returns:
        When indexed with `i`, batch `i` of the current epoch: a tuple `(x,)`,
        `(x, y)` or `(x, y, sample_weight)` of arrays of shape
        `(batch_size, ...)`, or of the rows of this part.

    Raises:
        TypeError: If `batch_size`, `seed` or an epoch is not an integer.
        ValueError: If `x` is empty or a scalar, if `x` and `y` differ in
            length, if `batch_size < 1` or `seed < 0`, if `drop_remainder`
            leaves no batch, or if a batch cannot be cut into `n` equal parts.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_monoflow as kmf

    x = np.arange(10.0, dtype="float32")[:, None]
    data = kmf.datasets.ShuffledDataset(x, 2.0 * x, batch_size=4, seed=0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    follow = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: data.set_epoch(epoch)
    )
    model.fit(data, epochs=3, shuffle=False, callbacks=[follow])
    ```
    """

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike | None = None,
        batch_size: int = 32,
        seed: int = 0,
        drop_remainder: bool = False,
        part: tuple[int, int] = (0, 1),
        sample_weight: ArrayLike | None = None,
    ) -> None:
        # No workers: rows in memory are read at once, and Keras serves
        # batches that its workers fetched before `set_epoch` was called.
        super().__init__()
        self.x = _as_rows("x", x)
        self.y = None if y is None else _as_rows("y", y)
        self.sample_weight = (
            None
            if sample_weight is None
            else _as_rows("sample_weight", sample_weight)
        )
        self._rows = _length("x", self.x)
        self.batch_size = check_integer("batch_size", batch_size, minimum=1)
        self.seed = check_integer("seed", seed, minimum=0)
        self.drop_remainder = bool(drop_remainder)
        self.part = tuple(np.atleast_1d(part).tolist())
        self._check_lengths()
        self._check_part()
        self.set_epoch(0)

    @property
    def epoch(self) -> int:
        """Integer, the epoch whose batches are served."""
        return self._order[0]

    def set_epoch(self, epoch: int) -> None:
        """Serves the batches of `epoch` from now on.

        Args:
            epoch: Integer, at least 0.
        """
        epoch = check_integer("epoch", epoch, minimum=0)
        rng = np.random.default_rng((self.seed, epoch))
        # One assignment: a worker thread never sees an epoch with the
        # permutation of another.
        self._order = epoch, self._order_of(rng)

    def _order_of(self, rng: np.random.Generator) -> Any:
        """Returns the places of the rows of an epoch, one after the other."""
        return rng.permutation(self._rows)

    def on_epoch_end(self) -> None:
        self.set_epoch(self.epoch + 1)

    def __len__(self) -> int:
        whole, rest = divmod(self._rows, self.batch_size)
        return whole + (rest > 0 and not self.drop_remainder)

    def __getitem__(self, index: int) -> tuple[Array, ...]:
        if not 0 <= index < len(self):
            raise IndexError(
                f"`index` must be in [0, {len(self)}). Received: index={index}"
            )
        start = index * self.batch_size
        rows = self._order[1][start : start + self.batch_size]
        i, n = self.part
        size = len(rows) // n
        rows = rows[i * size : (i + 1) * size]
        batch = keras.tree.map_structure(
            lambda array: None if array is None else array[rows],
            (self.x, self.y, self.sample_weight),
        )
        x, y, weight = batch
        if weight is not None:
            # (Keras serves no weights without labels.)
            return x, weight if y is None else y, weight
        return (x,) if y is None else (x, y)

    def _check_lengths(self) -> None:
        n = self._rows
        for name in ("y", "sample_weight"):
            value = getattr(self, name)
            if value is not None and _length(name, value) != n:
                raise ValueError(
                    f"`x` and `{name}` must have the same number of rows. "
                    f"Received: {n} rows of x, {_length(name, value)} of "
                    f"{name}."
                )
        if len(self) == 0:
            raise ValueError(
                "`drop_remainder` leaves no batch: use a smaller `batch_size`. "
                f"Received: {n} rows, batch_size={self.batch_size}"
            )

    def _check_part(self) -> None:
        if len(self.part) != 2:
            raise ValueError(
                f"`part` must be a pair (i, n). Received: part={self.part!r}"
            )
        i, n = self.part
        check_integer("part[1]", n, minimum=1)
        check_integer("part[0]", i, minimum=0)
        if i >= n:
            raise ValueError(
                "`part` must be (i, n) with i < n. Received: "
                f"part={self.part!r}"
            )
        last = self._rows % self.batch_size
        for size in (self.batch_size, 0 if self.drop_remainder else last):
            if size % n:
                raise ValueError(
                    f"A batch of {size} rows cannot be cut into {n} equal "
                    "parts: change `batch_size`, or pass "
                    f"`drop_remainder=True`. Received: part={self.part!r}"
                )


def _as_rows(name: str, value: Any) -> Any:
    several = isinstance(value, (list, tuple)) and all(
        hasattr(part, "shape") for part in value
    )
    if several:
        value = tuple(value)  # Keras serves no lists on TensorFlow.
    if several or isinstance(value, dict):
        return keras.tree.map_structure(lambda v: _as_rows(name, v), value)
    if keras.ops.is_tensor(value):
        value = keras.ops.convert_to_numpy(value)
    array = np.asarray(value)
    if array.ndim == 0 or len(array) == 0:
        raise ValueError(
            f"`{name}` must be an array of at least one row. "
            f"Received: {name} of shape {array.shape}"
        )
    return array


def _length(name: str, value: Any) -> int:
    lengths = {len(array) for array in keras.tree.flatten(value)}
    if len(lengths) != 1:
        raise ValueError(
            f"All parts of `{name}` must have as many rows. Received: parts of "
            f"{sorted(lengths)} rows."
        )
    return lengths.pop()
