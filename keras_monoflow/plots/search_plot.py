"""The picture of a search: its trials by one of their choices, and in time."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_monoflow.plots.style import (
    DATA_COLOR,
    SAMPLE_COLOR,
    count_axis,
    import_matplotlib,
)


def plot_search(table: Any, by: str | Sequence[str]) -> Any:
    """Draws what `keras_monoflow.tuning.plot_results` tells.

    Args:
        table: A `keras_monoflow.tuning.ResultsTable`.
        by: Name of a column, or several.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If no trial was completed.
    """
    matplotlib = import_matplotlib()
    best = table.best_by(by).rows
    if not best:
        raise ValueError("No trial of this search was completed.")
    figure = matplotlib.figure.Figure(
        figsize=(9.5, 0.42 * max(len(best), 5) + 1.6),
        dpi=100,
        layout="constrained",
    )
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _by_value(left, table, best, by)
    _best_so_far(right, table)
    return figure


def _by_value(axes, table, best, by):
    name = table.objective
    titles = [table.title(row, by) for row in best]
    for row in table:
        if name in row:
            height = titles.index(table.title(row, by))
            axes.plot(row[name], height, ".", color=DATA_COLOR, alpha=0.6)
    for height, row in enumerate(best):
        axes.errorbar(
            row[name],
            height,
            xerr=row.get(f"{name}_std"),
            fmt="o",
            color=SAMPLE_COLOR,
            capsize=3,
        )
    axes.margins(y=0.08)
    axes.set_yticks(range(len(titles)), titles)
    axes.invert_yaxis()
    has_spread = any(f"{name}_std" in row for row in best)
    spread = ", mean and deviation over seeds" if has_spread else ""
    axes.set_xlabel(name + spread)
    values = [row[name] for row in table if name in row]
    if _spans_decades(values):
        axes.set_xscale("log")
    axes.grid(axis="x", alpha=0.3)


def _best_so_far(axes, table):
    name = table.objective
    rows = sorted(
        (row for row in table if name in row), key=lambda row: row["trial"]
    )
    values = np.array([row[name] for row in rows])
    best = np.minimum if table.direction == "min" else np.maximum
    order = np.arange(1, len(rows) + 1)
    axes.plot(order, values, ".", color=DATA_COLOR, label="trial")
    axes.step(
        order,
        best.accumulate(values),
        where="post",
        color=SAMPLE_COLOR,
        label="best so far",
    )
    if _spans_decades(values):
        axes.set_yscale("log")
    axes.set(xlabel="completed trials", ylabel=name)
    count_axis(axes.xaxis)
    axes.legend()


def _spans_decades(values):
    return min(values) > 0 and max(values) > 20 * min(values)
