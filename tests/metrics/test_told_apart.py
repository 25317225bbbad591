"""Perfect, mode-dropping and collapsed generators are told apart."""

import numpy as np
import pytest

from keras_monoflow import metrics

MODES = np.array([[-4.0, 0.0], [4.0, 0.0], [0.0, -4.0], [0.0, 4.0]])


def samples(rng, modes, std=0.5):
    """A fixed number of samples from the modes that are named."""
    picks = rng.choice(modes, size=600)
    return MODES[picks] + std * rng.normal(size=(600, 2))


def nearest_mode(x):
    distances = np.linalg.norm(x[:, None] - MODES, axis=2)
    return np.eye(4)[distances.argmin(axis=1)]


# Values of a perfect, a mode-dropping and a collapsed generator: lower and
# upper bounds. Means: 0, (2, 2) for two modes, (4, 0) for one. Covariance: 8.25
# on each axis; for two modes 4.25 with a correlation of -4 / 4.25; then ~0.
CASES = {
    "wasserstein": (metrics.WassersteinDistance(), (0, 0.5), (2.5, 4), (4, 6)),
    "sliced": (
        metrics.SlicedWassersteinDistance(100),
        (0, 0.5),
        (1.5, 3.5),
        (3, 5),
    ),
    # |m|^2 = 16 and tr C = 16.5 for the collapsed one; see the test below.
    "frechet": (metrics.FrechetDistance(), (0, 0.5), (11, 14), (31, 34)),
    "kernel": (metrics.KernelDistance(), (-50, 50), (100, 400), (500, 900)),
    "precision": (
        metrics.PrecisionRecall(which="precision"),
        (0.9, 1),
        (0.9, 1),
        (1, 1),
    ),
    "recall": (
        metrics.PrecisionRecall(which="recall"),
        (0.9, 1),
        (0.4, 0.55),
        (0, 0.01),
    ),
    "f1": (metrics.PrecisionRecall(), (0.9, 1), (0.55, 0.7), (0, 0.02)),
    "modes": (metrics.ModeCoverage(MODES, 0.5), (4, 4), (2, 2), (1, 1)),
    "classes": (metrics.ClassCoverage(nearest_mode), (4, 4), (2, 2), (1, 1)),
}


@pytest.mark.parametrize("case", CASES)
def test_generators_are_told_apart(rng, case):
    metric, *bounds = CASES[case]
    real = samples(rng, range(4))
    generators = (
        samples(rng, range(4)),
        samples(rng, [1, 3]),
        samples(rng, [1], std=1e-3),
    )
    values = [metric(real, generated) for generated in generators]
    for value, (low, high) in zip(values, bounds):
        assert low <= value <= high, values
    ordered = values if metric.direction == "min" else values[::-1]
    # Precision does not see dropped modes: that is its definition.
    assert case == "precision" or ordered == sorted(ordered)
    if case != "precision":
        assert values[0] != values[1] != values[2]
