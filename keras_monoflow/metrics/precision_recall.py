"""Precision and recall of generated samples, by nearest neighbors."""

from collections.abc import Iterator

import numpy as np

from keras_monoflow.arguments import check_integer
from keras_monoflow.metrics.feature_metric import FeatureMetric, Side
from keras_monoflow.metrics.features import Extractor
from keras_monoflow.registry import METRICS
from keras_monoflow.typing import Array, ArrayLike, Config

# Rows of each set whose distances are held at a time.
_BLOCK = 1024

# Squared distances are computed to about this share of |x|^2 + |y|^2.
_ROUNDING = 1e-13


@METRICS.register("precision_recall")
class PrecisionRecall(FeatureMetric):
    """Improved precision and recall: fidelity and coverage as two numbers.

    The manifold of a set is the union of closed balls around the features of
    its samples; the radius of a ball is the Euclidean distance to the k-th
    nearest other sample of the set. *Precision* is the share of generated
    samples in the manifold of the real ones, *recall* the share of real samples
    in that of the generated ones (Kynkäänniemi et al., 2019, arXiv 1904.06991).
    A generator that drops modes has a low recall, one that makes samples unlike
    all real ones has a low precision.

    Both depend on the numbers of samples: compare values at equal n and m only,
    best with n = m. One outlier among the real samples has a large ball, and
    all that falls into it counts as precise.

    Distances are computed in blocks, so that memory does not grow as n m. Time
    is of order `(n + m)^2 d`.

    Args:
        feature_extractor: A `keras.Model`, `keras.Layer` or callable that maps
            a batch of samples to an array of shape `(b, d)`; a callable is
            given NumPy arrays. `None` flattens the samples.
        k: Integer, the neighbor that sets the radius. Defaults to `3`.
        which: `"f1"`, `"precision"` or `"recall"`, the value when called.
            Defaults to `"f1"`.
        batch_size: Integer, the samples that the extractor gets at a time.
            Defaults to `256`.
        name: String. Defaults to `"precision_recall"`, or to `which` if that
            is given.

    Returns:
        When called, the chosen value, a float from 0 to 1. By default this is
        the harmonic mean `2 p r / (p + r)` of both, or 0 where both are 0. The
        radii of `real` are kept for the next call with the same object.

    Raises:
        ValueError: If an argument is out of its range; when called, if a set
            has only `k` samples or fewer, or if the extractor does not give
            finite rows.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    rng = np.random.default_rng(0)
    real = rng.normal(size=(500, 2))
    metric = kmf.metrics.PrecisionRecall()
    print(metric.details(real, 0.1 * rng.normal(size=(500, 2))))
    # precision near 1, recall near 0
    ```
    """

    default_name = "precision_recall"
    direction = "max"

    def __init__(
        self,
        feature_extractor: Extractor | None = None,
        k: int = 3,
        which: str = "f1",
        batch_size: int = 256,
        name: str | None = None,
    ) -> None:
        if which not in ("f1", "precision", "recall"):
            raise ValueError(
                '`which` must be "f1", "precision" or "recall". '
                f"Received: which={which!r}"
            )
        if name is None and which != "f1":
            name = which
        super().__init__(feature_extractor, batch_size, name)
        self.k = check_integer("k", k, minimum=1)
        self.which = which

    def settings(self) -> Config:
        return {"k": self.k, "which": self.which, **super().settings()}

    def statistics(self, name: str, features: Array) -> Array:
        if len(features) <= self.k:
            raise ValueError(
                f"`{name}` must hold more than k={self.k} samples. Received: "
                f"{name} with {len(features)}."
            )
        return squared_radii(features, self.k)

    def compute(self, real: Side, generated: Side) -> float:
        return self._details(real, generated)[self.which]

    def details(
        self, real: ArrayLike, generated: ArrayLike
    ) -> dict[str, float]:
        """Returns precision, recall and their harmonic mean.

        Args:
            real: Array or tensor of shape `(n, ...)`.
            generated: Array or tensor of shape `(m, ...)`.

        Returns:
            A dictionary of floats from 0 to 1: `precision`, `recall`, `f1`.
        """
        return self._details(*self.prepare(real, generated))

    def _details(self, real: Side, generated: Side) -> dict[str, float]:
        precise = in_manifold(generated.rows, real.rows, real.statistics)
        recalled = in_manifold(real.rows, generated.rows, generated.statistics)
        precision, recall = float(precise.mean()), float(recalled.mean())
        total = precision + recall
        f1 = 2.0 * precision * recall / total if total else 0.0
        return {"precision": precision, "recall": recall, "f1": f1}


def squared_radii(rows: Array, k: int) -> Array:
    """Returns each row's squared distance to its k-th nearest other row.

    Args:
        rows: Array of shape `(n, d)`, with `n > k`.
        k: Integer of at least 1.

    Returns:
        A float64 array of shape `(n,)`.
    """
    center = _center(rows)
    radii = []
    for i, block in _blocks(rows, center):
        nearest = np.full((len(block), k), np.inf)
        for j, other in _blocks(rows, center):
            squared, _ = _squared_distances(block, other)
            if i == j:
                np.fill_diagonal(squared, np.inf)
            both = np.concatenate([nearest, squared], axis=1)
            nearest = np.partition(both, k - 1, axis=1)[:, :k]
        radii.append(nearest.max(axis=1))
    return np.concatenate(radii)


def in_manifold(rows: Array, centers: Array, radii: Array) -> Array:
    """Returns which rows lie in one of the closed balls around other rows.

    Args:
        rows: Array of shape `(n, d)`.
        centers: Array of shape `(m, d)`.
        radii: Array of shape `(m,)`, squared.

    Returns:
        A Boolean array of shape `(n,)`.
    """
    inside = np.zeros(len(rows), bool)
    origin = _center(centers)
    for i, block in _blocks(rows, origin):
        for j, other in _blocks(centers, origin):
            squared, rounding = _squared_distances(block, other)
            limits = radii[j : j + _BLOCK] + rounding
            inside[i : i + _BLOCK] |= (squared <= limits).any(axis=1)
    return inside


def _center(rows: Array) -> Array:
    # Squares of numbers far from 0 would leave few digits to distances.
    return rows.mean(axis=0, dtype="float64")


def _blocks(rows: Array, center: Array) -> Iterator[tuple[int, Array]]:
    for start in range(0, len(rows), _BLOCK):
        yield start, rows[start : start + _BLOCK].astype("float64") - center


def _squared_distances(x: Array, y: Array) -> tuple[Array, Array]:
    """Returns all squared distances, and how much of each may be rounding."""
    squares = np.sum(x**2, axis=1)[:, None] + np.sum(y**2, axis=1)
    distances = np.maximum(squares - 2.0 * (x @ y.T), 0.0)
    return distances, _ROUNDING * squares
