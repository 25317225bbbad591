import itertools

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest

from keras_monoflow.metrics import KernelDistance, kernel_distance

seeds = st.integers(0, 2**32 - 1)


def by_loop(x, y, degree=3, gamma=None, coef0=1.0):
    """The three means of the docstring, pair by pair."""
    gamma = 1.0 / x.shape[1] if gamma is None else gamma

    def kernel(a, b):
        return (gamma * np.dot(a, b) + coef0) ** degree

    def within(rows):
        return np.mean(
            [kernel(a, b) for a, b in itertools.permutations(rows, 2)]
        )

    between = np.mean([kernel(a, b) for a, b in itertools.product(x, y)])
    return within(x) + within(y) - 2 * between


@pytest.mark.parametrize(
    "arguments", [{}, {"degree": 2, "gamma": 0.3, "coef0": 0.0}, {"degree": 1}]
)
def test_against_a_loop(rng, arguments):
    x, y = rng.normal(size=(13, 4)), rng.normal(size=(9, 4)) + 0.5
    value = KernelDistance(**arguments)(x, y)
    np.testing.assert_allclose(value, by_loop(x, y, **arguments), rtol=1e-10)


@pytest.mark.parametrize("block", [1, 3, 5, 100])
def test_blocks(rng, monkeypatch, block):
    monkeypatch.setattr(kernel_distance, "_BLOCK", block)
    x, y = rng.normal(size=(10, 2)), rng.normal(size=(7, 2)) + 1.0
    np.testing.assert_allclose(
        KernelDistance()(x, y), by_loop(x, y), rtol=1e-10
    )


def test_linear_kernel_in_closed_form(rng):
    # Degree 1: |m - m'|^2 / d, less tr C / n d and tr C' / m d.
    x, y = rng.normal(size=(30, 5)), rng.normal(size=(20, 5)) + 1.0
    shift = x.mean(axis=0) - y.mean(axis=0)
    noise = np.cov(x.T).trace() / 30 + np.cov(y.T).trace() / 20
    value = KernelDistance(degree=1)(x, y)
    np.testing.assert_allclose(value, (shift @ shift - noise) / 5, rtol=1e-9)


def test_unbiased(rng):
    # Small sets of one distribution: 0 on the average, within 4 errors.
    metric = KernelDistance()
    values = [metric(*rng.normal(size=(2, 6, 2))) for _ in range(400)]
    assert abs(np.mean(values)) < 4 * np.std(values) / 20
    assert min(values) < 0 < max(values)


@pytest.mark.parametrize("counts", [(60, 60), (70, 50)])
def test_against_torch_fidelity(torch_fidelity, rng, counts):
    import torch
    from torch_fidelity import metric_kid

    real = rng.normal(size=(counts[0], 8))
    generated = rng.normal(size=(counts[1], 8)) + 0.3
    expected = metric_kid.kid_features_to_metric(
        torch.tensor(generated),
        torch.tensor(real),
        kid_subsets=7,
        kid_subset_size=40,
        verbose=False,
    )
    metric = KernelDistance(subsets=7, subset_size=40, seed=2020)
    details = metric.details(real, generated)
    for name in ("mean", "std"):
        np.testing.assert_allclose(
            details[name],
            expected[f"kernel_inception_distance_{name}"],
            rtol=1e-9,
        )
    assert metric(real, generated) == details["mean"]


def test_subsets_against_a_loop(rng):
    real, generated = rng.normal(size=(30, 3)), rng.normal(size=(25, 3)) + 1
    draws = np.random.RandomState(5)
    values = []
    for _ in range(4):
        y = generated[draws.choice(25, 11, replace=False)]
        x = real[draws.choice(30, 11, replace=False)]
        values.append(by_loop(x, y))
    metric = KernelDistance(subsets=4, subset_size=11, seed=5)
    details = metric.details(real, generated)
    np.testing.assert_allclose(details["mean"], np.mean(values), rtol=1e-9)
    np.testing.assert_allclose(details["std"], np.std(values), rtol=1e-9)
    assert metric.details(real, generated) == details
    assert set(KernelDistance().details(real, generated)) == {"mean"}


@hypothesis.settings(max_examples=20)
@hypothesis.given(seed=seeds, scale=st.floats(1e-3, 1e3))
def test_symmetric_and_homogeneous(seed, scale):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(8, 2)), rng.normal(size=(6, 2)) + 1.0
    metric = KernelDistance(coef0=0.0)
    value = metric(x, y)
    np.testing.assert_allclose(metric(y, x), value, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(
        metric(scale * x, scale * y), scale**6 * value, rtol=1e-8
    )


def test_global_noise_is_left_alone(rng):
    x = rng.normal(size=(20, 1))
    before = np.random.get_state()[1].copy()
    KernelDistance(subsets=2, subset_size=5)(x, x)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_config(rng):
    metric = KernelDistance(None, 2, 0.5, 2.0, 3, 10, 7, 64, "kid")
    config = keras.saving.serialize_keras_object(metric)
    assert config["registered_name"] == "keras_monoflow>KernelDistance"
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == metric.get_config()
    x, y = rng.normal(size=(2, 20, 2))
    assert again(x, y) == metric(x, y)
    assert KernelDistance().name == "kernel_distance"


def test_bad_arguments(rng):
    with pytest.raises(TypeError, match=r"degree=2\.5"):
        KernelDistance(degree=2.5)
    for gamma in (0.0, -1.0, np.inf):
        with pytest.raises(ValueError, match=f"gamma={gamma}"):
            KernelDistance(gamma=gamma)
    with pytest.raises(ValueError, match=r"coef0=-0\.5"):
        KernelDistance(coef0=-0.5)
    with pytest.raises(ValueError, match="subsets=0"):
        KernelDistance(subsets=0)
    with pytest.raises(ValueError, match="subset_size=1"):
        KernelDistance(subset_size=1)
    x = rng.normal(size=(20, 2))
    with pytest.raises(ValueError, match=r"`generated`.*30.*with 20"):
        KernelDistance(subsets=1, subset_size=30)(np.ones((30, 2)), x)
    with pytest.raises(ValueError, match=r"`real`.*2 samples.*with 1") as error:
        KernelDistance()(x[:1], x)
    assert "subset_size" not in str(error.value)
