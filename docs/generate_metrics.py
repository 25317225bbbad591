"""Writes the table of docs/metrics.md from the code.

usage: python docs/generate_metrics.py

Everything between `<!-- begin: values -->` and `<!-- end: values -->` is
replaced. The numbers do not depend on the Keras backend. Needs POT and SciPy.
"""

import pathlib

import numpy as np
from marked_text import replaced

import keras_monoflow as kmf

PAGE = pathlib.Path(__file__).resolve().parent / "metrics.md"

COUNT = 1000
STD = 0.1
CENTERS = kmf.datasets.ring_centers()


def samples(seed, modes=range(8), std=STD):
    """Samples of some modes of the ring of eight Gaussians."""
    rng = np.random.default_rng(seed)
    noise = std * rng.normal(size=(COUNT, 2))
    return CENTERS[rng.choice(modes, size=COUNT)] + noise


GENERATORS = {
    "perfect": samples(1),
    "drops half of the modes": samples(2, modes=[0, 1, 2, 3]),
    "collapsed to one mode": samples(3, modes=[0], std=0.01),
    "all modes, three times too wide": samples(4, std=3 * STD),
}


def nearest_center(x):
    """A classifier of the modes."""
    distances = np.linalg.norm(x[:, None] - CENTERS, axis=2)
    return np.eye(len(CENTERS))[distances.argmin(axis=1)]


METRICS = {
    "`WassersteinDistance()`": kmf.metrics.WassersteinDistance(),
    "`SlicedWassersteinDistance()`": kmf.metrics.SlicedWassersteinDistance(),
    "`FrechetDistance()`": kmf.metrics.FrechetDistance(),
    "`KernelDistance()`": kmf.metrics.KernelDistance(),
    "`PrecisionRecall()`: precision": kmf.metrics.PrecisionRecall(
        which="precision"
    ),
    "`PrecisionRecall()`: recall": kmf.metrics.PrecisionRecall(which="recall"),
    "`ModeCoverage(centers, 0.1)`": kmf.metrics.ModeCoverage(CENTERS, STD),
    "`ClassCoverage(classifier)`": kmf.metrics.ClassCoverage(nearest_center),
}


def number(value):
    """Two decimals, and no `-0.00`."""
    if float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.2f}".replace("-0.00", "0.00")


def table():
    real = samples(0)
    lines = [["metric", "best", *GENERATORS]]
    lines.append(["---"] * len(lines[0]))
    for name, metric in METRICS.items():
        best = {"min": "low", "max": "high"}[metric.direction]
        values = [number(metric(real, x)) for x in GENERATORS.values()]
        lines.append([name, best, *values])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def render(text):
    """The text of the page with its table made anew."""
    return replaced(text, "values", table())


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
