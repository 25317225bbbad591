"""Every metric is best on equal sets, and worse on shifted ones."""

import keras
import numpy as np
import pytest

from contracts.shared import check_names, check_round_trip
from keras_monoflow import metrics
from keras_monoflow.registry import METRICS

# Two modes with a standard deviation of 0.1.
CENTERS = np.array([[-1.0, 0.0], [1.0, 0.0]])


@keras.saving.register_keras_serializable("keras_monoflow_tests")
def nearest_mode(x):
    """A classifier of the modes."""
    distances = np.linalg.norm(x[:, None] - CENTERS, axis=2)
    return np.eye(2)[distances.argmin(axis=1)]


#: One row for each metric that needs arguments.
MAKERS = {
    **METRICS.makers,
    "mode_coverage": lambda: metrics.ModeCoverage(CENTERS, 0.1),
    "class_coverage": lambda: metrics.ClassCoverage(nearest_mode),
}
#: The value for equal sets, where it is not 0.
BEST = {"precision_recall": 1.0, "mode_coverage": 2.0, "class_coverage": 2.0}
#: How far from it a metric may be. The kernel distance is unbiased for sets
#: drawn apart, and so too low for equal ones, by 2 (k(x, x) - k(x, x')) / n.
TOLERANCE = {"kernel_distance": 0.05}

every_metric = pytest.mark.parametrize("name", MAKERS)


def make(name):
    if "wasserstein" in name:
        pytest.importorskip("ot")
    return MAKERS[name]()


@pytest.fixture
def samples(rng):
    return np.repeat(CENTERS, 75, axis=0) + 0.1 * rng.normal(size=(150, 2))


def test_every_metric_has_a_row():
    classes = {getattr(metrics, name) for name in metrics.__all__}
    found = {
        c.default_name
        for c in classes - {metrics.DistributionMetric}
        if isinstance(c, type) and issubclass(c, metrics.DistributionMetric)
    }
    assert found == set(MAKERS)


@pytest.mark.slow
@every_metric
def test_equal_sets(name, samples):
    value = make(name)(samples, samples)
    best, tolerance = BEST.get(name, 0.0), TOLERANCE.get(name, 1e-6)
    assert type(value) is float
    assert abs(value - best) <= tolerance


@pytest.mark.slow
@every_metric
def test_shifted_sets_are_worse(name, samples):
    metric = make(name)
    sign = {"min": 1.0, "max": -1.0}[metric.direction]
    equal, near, far = (
        sign * metric(samples, samples + shift) for shift in (0.0, 0.5, 3.0)
    )
    assert equal <= near <= far
    assert far > equal + 0.5


@every_metric
def test_config(name, samples):
    metric = make(name)
    copy = check_round_trip(metric)
    shifted = samples + 0.05
    assert copy(samples, shifted) == metric(samples, shifted)
    assert (copy.name, copy.direction) == (metric.name, metric.direction)


@pytest.mark.parametrize("name", METRICS.makers)
def test_names(name):
    def get(entry):
        (metric,) = metrics.get(entry)
        return metric

    assert get(name).name == name
    check_names(METRICS, get, name)
