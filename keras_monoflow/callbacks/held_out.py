"""The base of callbacks that look at held-out samples."""

import itertools
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_monoflow.arguments import check_integer
from keras_monoflow.data import at_first_epoch, can_be_read_again, joined
from keras_monoflow.metrics.base import check_finite, to_numpy
from keras_monoflow.typing import Array, ArrayLike

#: How the logs begin that are NaN in epochs in which they are not computed.
OCCASIONAL_LOGS = ("val_", "flow_")


class HeldOut(keras.callbacks.Callback):
    """Base class: adds values from held-out samples to the logs of epochs.

    `fit` of the package's models hands over its data, and moves these callbacks
    to the front, so that all others see what they add. A subclass writes
    `values(epoch)`.

    Args:
        every: Integer, the number of epochs from one computation to the next;
            in between, the logs hold NaN, which `EarlyStopping`,
            `ModelCheckpoint` and `ReduceLROnPlateau` pass over.
        samples: Integer, the largest number of real samples.
        seed: Integer, the seed of the generated samples and of the choice
            of the real ones.
        real: Array of real samples to use in place of those of `fit`; needed
            where these come from a generator that can be read only once.

    Attributes:
        held_out: The real samples, and their labels or `None`.

    Raises:
        TypeError: If `every`, `samples` or `seed` is not an integer.
        ValueError: If one is out of its range.
    """

    adds_to_logs = True

    def __init__(
        self, every: int, samples: int, seed: int, real: ArrayLike | None
    ) -> None:
        super().__init__()
        self.every = check_integer("every", every, minimum=1)
        self.samples = check_integer("samples", samples, minimum=1)
        self.seed = seed
        self.held_out: tuple[Array, Array | None] | None = None
        self._takes_data_of_fit = real is None
        if real is not None:
            self.held_out = self.choose(real)
        self._names: list[str] = []
        self._whole: Array | None = None
        self._part: tuple[Array, Array | None]

    def values(self, epoch: int) -> dict[str, float]:
        """Returns what to add to the logs of an epoch, counted from 0."""
        raise NotImplementedError

    def use_data(self, x: Any, y: Any, validation_data: Any) -> None:
        """Takes the real samples from the arguments of `fit`."""
        if not self._takes_data_of_fit:
            return
        weight = None
        if validation_data is not None:
            x, y, weight = keras.utils.unpack_x_y_sample_weight(validation_data)
        self.held_out = self.choose(x, y, weight)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks the real samples, before an epoch is spent on training."""
        real, _ = self._known(self.held_out)
        shape = getattr(self.model, "sample_shape", None)
        if shape is not None and real.shape[1:] != shape:
            raise ValueError(
                f"The real samples of `{type(self).__name__}` must have the "
                f"shape {shape} of those of the model. Received: "
                f"real.shape={real.shape}."
            )
        check_finite(f"real` of `{type(self).__name__}", real)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if (epoch + 1) % self.every == 0:
            values = self.values(epoch)
            self._names = list(values)
        else:
            values = dict.fromkeys(self._names, float("nan"))
        if logs is not None:
            logs.update(values)

    def compared(
        self, model: Any, held_out: tuple[Array, Array | None] | None
    ) -> tuple[Array, Array, Array | None]:
        """Returns real samples, as many generated ones, and the labels of both.

        Args:
            model: A model of the package. One with fewer samples than were
                held out is compared with as many real ones.
            held_out: What `choose` returned.

        Raises:
            ValueError: If there are no real samples.
        """
        real, labels = self._known(held_out)
        real, labels = self.as_many(model, real, labels)
        known = {}
        # (Those of weighted samples may come without a meaning.)
        if labels is not None and getattr(model, "conditional", True):
            known["labels"] = labels
        generated = model.sample(len(real), seed=self.seed, **known)
        return real, joined(generated), known.get("labels")

    def as_many(
        self, model: Any, real: Array, labels: Array | None = None
    ) -> tuple[Array, Array | None]:
        """Returns as many rows as a model has samples, and their labels.

        Of one array these are the same object each time: metrics remember what
        they made of it.
        """
        n = getattr(model, "max_samples", None)
        if n is None or n >= len(real):
            return real, labels
        if self._whole is not real or len(self._part[0]) != n:
            self._whole = real
            self._part = real[:n], None if labels is None else labels[:n]
        return self._part

    def _known(self, held_out: Any) -> tuple[Array, Array | None]:
        if held_out is None:
            raise ValueError(
                f"{type(self).__name__} has no real samples: the models of the "
                "package hand over those of `fit`. Elsewhere, pass an array as "
                "`real`."
            )
        return held_out

    def choose(
        self, x: Any, y: Any = None, weight: Any = None
    ) -> tuple[Array, Array | None]:
        """Returns at most `samples` real samples, and their labels or `None`.

        Of arrays some rows are picked by the seed; of other data the first
        ones are taken, those of epoch 0 where there is `set_epoch`. Rows with
        weights are drawn with probability proportional to these: some are
        picked twice, others not at all.

        Raises:
            ValueError: If the data can be read only once.
        """
        check_integer("seed", self.seed, minimum=0)
        if isinstance(x, (dict, list, tuple)):
            x = joined(keras.tree.map_structure(to_numpy, x))
        if hasattr(x, "shape"):
            rows: Any = slice(None)
            if weight is not None:
                rows = self._drawn(to_numpy(weight))
            elif len(x) > self.samples:
                rng = np.random.default_rng(self.seed)
                rows = np.sort(rng.permutation(len(x))[: self.samples])
            return to_numpy(x)[rows], None if y is None else to_numpy(y)[rows]
        if not can_be_read_again(x):
            raise ValueError(
                f"{type(self).__name__} cannot take samples from data that can "
                "be read only once. Pass it an array as `real`. Received: "
                f"{x!r}."
            )
        with at_first_epoch(x):
            return self._first_rows(_batches(x))

    def _first_rows(self, batches: Iterable) -> tuple[Array, Array | None]:
        found: list[list[Array]] = [[], [], []]
        for batch in batches:
            parts = keras.utils.unpack_x_y_sample_weight(batch)
            for part, known in zip(parts, found):
                if part is not None:
                    known.append(to_numpy(part))
            if sum(map(len, found[0])) >= self.samples:
                break
        count = self.samples
        rows: Any = slice(count)
        if found[2]:
            rows = self._drawn(np.concatenate(found[2])[:count])
        x, *y = (np.concatenate(known)[rows] for known in found[:2] if known)
        return x, y[0] if y else None

    def _drawn(self, weight: Array) -> Array:
        """Returns the places of rows that are drawn by their weights."""
        chances = np.reshape(np.asarray(weight, "float64"), -1)
        rng = np.random.default_rng(self.seed)
        count = min(len(chances), self.samples)
        rows = rng.choice(len(chances), count, p=chances / chances.sum())
        return np.sort(rows)


def _batches(x: Any) -> Iterable:
    if not isinstance(x, keras.utils.PyDataset):
        return x
    endless = x.num_batches is None
    places = itertools.count() if endless else range(x.num_batches)
    return (x[i] for i in places)
