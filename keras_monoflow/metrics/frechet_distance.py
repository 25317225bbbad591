"""The Fréchet distance between Gaussians fitted to two sets of features."""

import warnings
from typing import Any

import numpy as np

from keras_monoflow.metrics.feature_metric import FeatureMetric
from keras_monoflow.metrics.moments import Moments
from keras_monoflow.registry import METRICS
from keras_monoflow.typing import Array

# Columns of a product that are worked on at a time.
_COLUMNS = 256


@METRICS.register("frechet_distance")
class FrechetDistance(FeatureMetric):
    """Squared Fréchet distance between Gaussians fitted to two sets.

    With the means `m`, `m'` and covariances `C`, `C'` of the features of the
    real and the generated samples, it is

        |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)),

    the square of the Wasserstein-2 distance between the two Gaussians (Dowson
    and Landau, 1982). With the features of an Inception network it is the FID
    (Heusel et al., 2017, arXiv 1706.08500), whose published values need one
    set of weights and one way of resizing: see `torch_fidelity_score`.

    Covariances are normalized by `n - 1`. Means and covariances are gathered in
    float64 while the features come in, so that memory does not grow with the
    number of samples: it is some `d x d` matrices, for `d` features. Time grows
    as `n d^2 + d^3`. Without an extractor, d is the number of values in a
    sample: large images need one.

    The estimate is biased upwards, by an amount that falls as 1 / n. Compare
    values at equal n only. With `n <= d` samples a covariance has no full rank,
    a warning is given, and the value says little.

    Args:
        feature_extractor: A `keras.Model`, `keras.Layer` or callable that maps
            a batch of samples to an array of shape `(b, d)`; a callable is
            given NumPy arrays. `None` flattens the samples.
        batch_size: Integer, the samples that the extractor gets at a time.
            Defaults to `256`.
        name: String. Defaults to `"frechet_distance"`.

    Returns:
        When called, a float of at least 0, in squared units of the features.
        The moments of `real` are kept for the next call with the same object.

    Raises:
        ValueError: When called, if a set has fewer than two samples, or if the
            extractor does not give finite rows.

    Example:

    ```python
    import numpy as np
    import keras_monoflow as kmf

    real = np.random.default_rng(0).normal(size=(500, 2))
    distance = kmf.metrics.FrechetDistance()
    print(distance(real, real + np.array([3.0, 4.0])))  # 25.0
    ```
    """

    default_name = "frechet_distance"
    needs_rows = False

    def statistics(self, name: str, features: Any) -> Any:
        moments = Moments()
        for rows in features:
            moments.update(rows)
        _check_count(name, moments.count, moments.width)
        return moments.finish()

    def compute(self, real: Array, generated: Array) -> Any:
        real, generated = real.statistics, generated.statistics
        shift = np.sum((real.mean - generated.mean) ** 2)
        traces = np.trace(real.covariance) + np.trace(generated.covariance)
        common = _trace_of_root(real.covariance, generated.covariance)
        return max(shift + traces - 2.0 * common, 0.0)


def _check_count(name: str, count: int, width: int):
    if count < 2:
        raise ValueError(
            f"`{name}` must hold at least two samples: one has no covariance. "
            f"Received: {name} with {count} sample."
        )
    if count <= width:
        warnings.warn(
            f"`{name}` has {count} samples of {width} features, so that its "
            f"covariance has a rank of {count - 1} at most. The Fréchet "
            f"distance needs {width + 1} samples or more, and several times "
            "as many to say much; or an extractor with fewer features.",
            stacklevel=2,
        )


def _trace_of_root(a: float, b):
    """Return `tr (A B)^(1/2)` of two covariances, by symmetric problems only.

    With any `F` for which `A = F F^T`, the eigenvalues of `A B` are those of
    the symmetric `F^T B F`; with `F = A^(1/2)` this is `A^(1/2) B A^(1/2)`.
    Rounding may make some slightly negative; these count as 0.
    """
    factor = _factor(a)
    product = np.empty_like(factor)
    # By columns, so that no further matrix is held.
    for start in range(0, len(a), _COLUMNS):
        columns = slice(start, start + _COLUMNS)
        product[:, columns] = factor.T @ (b @ factor[:, columns])
    del factor
    values = np.linalg.eigvalsh(product)
    return np.sum(np.sqrt(np.maximum(values, 0.0)))


def _factor(a: float):
    """Return `F` with `F F^T = A`: Cholesky's, which takes the least time.

    A singular `A` has none. Then it is `V diag(s)^(1/2)`, for the eigenvectors
    `V` and the eigenvalues `s`.
    """
    try:
        return np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(a)
        vectors *= np.sqrt(np.maximum(values, 0.0))
        return vectors
