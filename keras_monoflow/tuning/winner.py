"""The winner of a search, in words."""

from collections.abc import Sequence

import numpy as np

from keras_monoflow.tuning.results import ResultsTable


def verdict(table: ResultsTable, by: str | Sequence[str] = "mapping") -> str:
    """Returns which value won, by how much, and whether that is beyond noise.

    Args:
        table: A `ResultsTable`.
        by: Name of a column, or several.

    Returns:
        One or two sentences.
    """
    best = table.best_by(by).rows
    if not best:
        return "No trial was completed."
    name = table.objective
    titles = [table.title(row, by) for row in best]
    first = f"{titles[0]} won, with {name} = {best[0][name]:.4g}"
    if len(best) == 1:
        return f"{first}. There was nothing to compare it with."
    gaps = [abs(row[name] - best[0][name]) for row in best]
    text = f"{first}, ahead of {titles[1]} by {gaps[1]:.3g}."
    if any(f"{name}_std" not in row for row in best[:2]):
        return f"{text} With one seed, the spread is not known."
    # Of the difference of two independent values.
    spreads = [
        float(np.hypot(best[0][f"{name}_std"], row.get(f"{name}_std", 0.0)))
        for row in best
    ]
    spread = f"{spreads[1]:.3g}"
    if gaps[1] > spreads[1]:
        return (
            f"{text} That is more than the spread over seeds of their "
            f"difference, {spread}."
        )
    near = [t for t, gap, s in zip(titles, gaps, spreads) if gap <= s]
    return (
        f"{text} That is within the spread over seeds of their difference, "
        f"{spread}: no winner can be named among {', '.join(near)}."
    )
