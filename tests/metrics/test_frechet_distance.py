import tracemalloc
import warnings

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import scipy.linalg

from keras_monoflow.metrics import FrechetDistance
from keras_monoflow.metrics.moments import Moments

seeds = st.integers(0, 2**32 - 1)


def by_square_root(x, y):
    """The formula as it is written, with SciPy's root of a matrix."""
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(a @ b)
    shift = x.mean(axis=0) - y.mean(axis=0)
    return shift @ shift + np.trace(a) + np.trace(b) - 2 * np.trace(root).real


def with_moments(rng, count, mean, covariance):
    """Samples whose mean and covariance are those given, up to rounding."""
    x = rng.normal(size=(count, len(mean)))
    x -= x.mean(axis=0)
    x = np.linalg.solve(np.linalg.cholesky(np.cov(x, rowvar=False)), x.T).T
    return x @ np.linalg.cholesky(covariance).T + mean


def correlated(rng, shape):
    return rng.normal(size=shape) @ rng.normal(size=(shape[1], shape[1]))


def test_against_the_square_root_of_scipy(rng):
    # More samples than a block holds, and another number in each set.
    x, y = correlated(rng, (3000, 12)), correlated(rng, (2100, 12)) + 3.0
    np.testing.assert_allclose(
        FrechetDistance()(x, y), by_square_root(x, y), rtol=1e-9
    )


@pytest.mark.parametrize("count", [60, 21, 15])
def test_against_torch_fidelity(torch_fidelity, rng, count):
    import torch
    from torch_fidelity import metric_fid

    x, y = correlated(rng, (count, 20)), correlated(rng, (count, 20)) + 0.5
    expected = metric_fid.fid_statistics_to_metric(
        metric_fid.fid_features_to_statistics(torch.tensor(x)),
        metric_fid.fid_features_to_statistics(torch.tensor(y)),
        verbose=False,
    )["frechet_inception_distance"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = FrechetDistance()(x, y)
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_gaussians_with_one_basis(rng):
    # |m - m'|^2 + sum (s_i - t_i)^2 for the deviations along common axes.
    axes, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    s, t = np.array([1.0, 2.0, 0.5, 3.0]), np.array([2.0, 0.1, 0.5, 4.0])
    x = with_moments(rng, 50, np.zeros(4), axes @ np.diag(s**2) @ axes.T)
    y = with_moments(rng, 70, np.arange(4.0), axes @ np.diag(t**2) @ axes.T)
    expected = 14.0 + np.sum((s - t) ** 2)
    np.testing.assert_allclose(FrechetDistance()(x, y), expected, rtol=1e-10)


def test_covariances_are_divided_by_n_minus_one():
    # Variances 2 and 8 with n - 1, but 1 and 4 with n.
    value = FrechetDistance()([[1.0], [-1.0]], [[2.0], [-2.0]])
    np.testing.assert_allclose(value, (8**0.5 - 2**0.5) ** 2, rtol=1e-12)


def test_known_square_root_of_matrices_that_do_not_commute(rng):
    # tr (AB)^(1/2) in the plane: sqrt(tr AB + 2 sqrt(det AB)).
    a, b = (
        np.array([[2.0, 1.0], [1.0, 3.0]]),
        np.array([[1.0, -0.4], [-0.4, 5]]),
    )
    x, y = (with_moments(rng, 40, np.zeros(2), c) for c in (a, b))
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    expected = np.trace(a) + np.trace(b) - 2 * root
    np.testing.assert_allclose(FrechetDistance()(x, y), expected, rtol=1e-10)


@pytest.mark.filterwarnings("ignore:.*covariance has a rank")
@pytest.mark.parametrize(
    ("count", "decay", "tolerance"), [(300, 4.0, 1e-13), (15, 0.0, 1e-7)]
)
def test_small_and_zero_eigenvalues(rng, count, decay, tolerance):
    # tr (A B)^(1/2) is the sum of the singular values of X Y^T.
    scale = np.arange(1.0, 51.0) ** -decay
    x = rng.normal(size=(count, 50)) * scale
    y = x + 0.1 * rng.normal(size=(count, 50)) * scale
    roots = [(r - r.mean(axis=0)) / np.sqrt(count - 1) for r in (x, y)]
    common = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    shift = np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2)
    traces = sum(np.sum(r**2) for r in roots)
    # Roots of eigenvalues that are 0 but for rounding leave half of the digits.
    error = FrechetDistance()(x, y) - (shift + traces - 2 * common)
    assert abs(error) < tolerance * traces, error / traces


@hypothesis.settings(max_examples=25)
@hypothesis.given(
    seed=seeds, scale=st.floats(1e-6, 1e6), shift=st.floats(-1e3, 1e3)
)
def test_symmetric_scaled_and_unmoved(seed, scale, shift):
    rng = np.random.default_rng(seed)
    x, y = correlated(rng, (30, 3)), correlated(rng, (25, 3)) + 1.0
    distance = FrechetDistance()
    value = distance(x, y)
    assert value >= 0.0
    np.testing.assert_allclose(distance(y, x), value, rtol=1e-8)
    np.testing.assert_allclose(
        distance(scale * (x + shift), scale * (y + shift)),
        scale**2 * value,
        rtol=1e-8,
    )


def test_equal_sets_even_if_their_covariance_is_singular(rng):
    x = correlated(rng, (500, 40))
    assert FrechetDistance()(x, x[::-1]) <= 1e-10 * np.cov(x.T).trace()
    x[:, 20:] = x[:, :20]
    assert FrechetDistance()(x, x) <= 1e-6 * np.cov(x.T).trace()
    with np.errstate(all="raise"):
        assert FrechetDistance()(np.ones((5, 2)), np.ones((4, 2))) == 0.0


@hypothesis.given(
    seed=seeds, cuts=st.lists(st.integers(1, 49), max_size=6, unique=True)
)
def test_moments_do_not_depend_on_the_blocks(seed, cuts):
    rows = np.random.default_rng(seed).normal(size=(50, 3)) + 1e7
    moments = Moments()
    for block in np.split(rows, sorted(cuts)):
        moments.update(block)
    moments.finish()
    assert moments.count == 50
    np.testing.assert_allclose(moments.mean, rows.mean(axis=0), rtol=1e-14)
    expected = np.cov(rows - 1e7, rowvar=False)
    np.testing.assert_allclose(moments.covariance, expected, atol=1e-7)


def test_memory_does_not_grow_with_the_samples(rng):
    def peak(count):
        x = rng.normal(size=(count, 16)).astype("float32")
        tracemalloc.start()
        FrechetDistance()(x, x)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)
    # All rows in float64 would be 12.8 MB.
    assert peak(100_000) < 1.2e6


def test_warning_that_there_are_too_few_samples(rng):
    x = rng.normal(size=(10, 10))
    with pytest.warns(UserWarning, match=r"`real` has 10 .* 11 samples"):
        FrechetDistance()(x, rng.normal(size=(11, 10)))
    with pytest.warns(UserWarning, match=r"`generated` has 10 .* of 9"):
        FrechetDistance()(rng.normal(size=(11, 10)), x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FrechetDistance()(*rng.normal(size=(2, 11, 10)))


def test_images_and_bytes(rng):
    x = rng.integers(0, 256, size=(40, 2, 2, 3), dtype="uint8")
    y = rng.integers(50, 200, size=(40, 2, 2, 3), dtype="uint8")
    value = FrechetDistance()(keras.ops.convert_to_tensor(x), y)
    rows = (a.reshape(40, 12).astype("float64") for a in (x, y))
    np.testing.assert_allclose(value, by_square_root(*rows), rtol=1e-8)


def test_one_sample_has_no_covariance():
    with pytest.raises(ValueError, match=r"`generated`.*two samples.*1 sample"):
        FrechetDistance()(np.eye(3, 2), np.ones((1, 2)))


def test_names():
    assert FrechetDistance().name == "frechet_distance"
    assert FrechetDistance.direction == "min"
