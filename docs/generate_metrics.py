"""Writes the tables of docs/metrics.md from the code.

usage: python docs/generate_metrics.py

Names come from the registry. Everything between `<!-- begin: NAME -->` and
`<!-- end: NAME -->` is replaced. The numbers do not depend on the Keras
backend. Needs POT and SciPy.
"""

import pathlib

import numpy as np
from marked_text import first_line, replaced, table

import keras_monoflow as kmf
from keras_monoflow.registry import METRICS

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


#: What has no name, as it needs arguments, and what gives two values.
BY_HAND = {
    "`PrecisionRecall()`: precision": kmf.metrics.PrecisionRecall(
        which="precision"
    ),
    "`PrecisionRecall()`: recall": kmf.metrics.PrecisionRecall(which="recall"),
    "`ModeCoverage(centers, 0.1)`": kmf.metrics.ModeCoverage(CENTERS, STD),
    "`ClassCoverage(classifier)`": kmf.metrics.ClassCoverage(nearest_center),
}


def shown():
    """The metrics by the call that makes them."""
    by_hand = {type(metric) for metric in BY_HAND.values()}
    named = [m for m in METRICS.makers.values() if m not in by_hand]
    return {**{f"`{make.__name__}()`": make() for make in named}, **BY_HAND}


def number(value):
    """Two decimals, and no `-0.00`."""
    if float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.2f}".replace("-0.00", "0.00")


def name_table():
    """Every metric: those with a name first."""
    names = {make: name for name, make in METRICS.makers.items()}
    others = dict.fromkeys(type(metric) for metric in BY_HAND.values())
    rows = []
    for thing in {**names, **others, kmf.metrics.torch_fidelity_score: None}:
        name = f"`{names[thing]}`" if thing in names else ""
        says = first_line(thing).replace("Returns the", "The")
        rows.append([f"`{thing.__name__}`", name, says])
    return table(["metric", "name", "what it is"], rows)


def value_table():
    real = samples(0)
    rows = []
    for name, metric in shown().items():
        best = {"min": "low", "max": "high"}[metric.direction]
        values = [number(metric(real, x)) for x in GENERATORS.values()]
        rows.append([name, best, *values])
    return table(["metric", "best", *GENERATORS], rows)


def render(text):
    """The text of the page with its tables made anew."""
    text = replaced(text, "names", name_table())
    return replaced(text, "values", value_table())


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
