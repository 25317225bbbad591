"""What a search found, as tables and a picture."""

import csv
import dataclasses
import re
import statistics

import numpy as np

from keras_monoflow.plots.matplotlib_import import import_matplotlib


@dataclasses.dataclass
class ResultsTable:
    """Rows of named values, which print as a table.

    Printed are the columns that differ. The values of several seeds print as
    their mean ± standard deviation.

    Attributes:
        rows: List of dictionaries by column. A value may be missing.
        objective: Name of the column that was optimised.
        direction: `"min"` or `"max"`.
    """

    rows: list
    objective: str
    direction: str

    @property
    def columns(self):
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]

    def __iter__(self):
        return iter(self.rows)

    def __str__(self):
        return self._text("", "  ", "")

    def to_markdown(self):
        """Returns the table in Markdown."""
        return self._text("| ", " | ", " |", rule=True)

    def to_csv(self, path):
        """Writes all columns to a file."""
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(self.rows)

    def best_by(self, by="mapping"):
        """Returns the best row for each value of a column, best first.

        Args:
            by: Name of a column, or several.
        """
        best = {}
        for row in self.rows:
            if self.objective in row:
                best.setdefault(_key(row, by), row)
        return dataclasses.replace(self, rows=list(best.values()))

    def _shown(self):
        """The columns that differ between rows."""
        first = ("trial", "status", self.objective)
        return [
            name
            for name in self.columns
            if name in first
            or (
                len({repr(row.get(name, "")) for row in self.rows}) > 1
                and not re.search(r"^val_.*_(std|seed_\d+)$", name)
            )
        ]

    def _text(self, left, between, right, rule=False):
        if not self.rows:
            return "no trials"
        columns = self._shown()
        cells = [columns] + [
            [_with_spread(row, name) for name in columns] for row in self.rows
        ]
        widths = [max(map(len, column)) for column in zip(*cells)]
        lines = [
            left + between.join(c.ljust(w) for c, w in zip(row, widths)) + right
            for row in cells
        ]
        if rule:
            lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
        return "\n".join(line.rstrip() for line in lines)


def results_table(tuner):
    """Returns the trials of a search, the best first and failed ones last.

    A row has the trial, its status, the metrics, the hyperparameters that
    mattered, and for a trial that failed why it did. As a string, the table
    shows the columns that differ.

    Args:
        tuner: A `keras_tuner.Tuner` after its search, or one that was made
            with the same folder: finished trials are read from there.

    Returns:
        A `ResultsTable`.

    Example:

    ```python
    import keras_monoflow as kmf

    # print(kmf.tuning.results_table(tuner).best_by("mapping"))
    ```
    """
    objective = tuner.oracle.objective
    trials = list(tuner.oracle.trials.values())
    done = [t for t in trials if t.status == "COMPLETED"]
    done.sort(key=lambda t: t.score, reverse=objective.direction == "max")
    rows = [_row(t) for t in done]
    rows += [_row(t) for t in trials if t.status != "COMPLETED"]
    return ResultsTable(rows, objective.name, objective.direction)


def verdict(table, by="mapping"):
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
    first = f"{_title(best[0], by)} won, with {name} = {best[0][name]:.4g}"
    if len(best) == 1:
        return f"{first}. There was nothing to compare it with."
    gap = abs(best[1][name] - best[0][name])
    text = f"{first}, ahead of {_title(best[1], by)} by {gap:.3g}."
    spreads = [row.get(f"{name}_std") for row in best[:2]]
    if None in spreads:
        return f"{text} With one seed, the spread is not known."
    spread = float(np.hypot(*spreads))
    if gap > spread:
        return (
            f"{text} That is more than the spread over seeds of their "
            f"difference, {spread:.3g}."
        )
    within = [
        _title(row, by)
        for row in best[1:]
        if abs(row[name] - best[0][name])
        <= np.hypot(spreads[0], row[f"{name}_std"])
    ]
    return (
        f"{text} That is within the spread over seeds of their difference, "
        f"{spread:.3g}: no winner can be named among {_title(best[0], by)}, "
        f"{', '.join(within)}."
    )


def plot_results(tuner, by="mapping"):
    """Draws the objective by mapping, and the best value so far.

    On the left, every trial is a dot, and the best trial of each mapping has
    a bar of one standard deviation over its seeds; failed trials are not
    shown. On the right, trials are in the order in which they started.

    Args:
        tuner: A `keras_tuner.Tuner` after its search.
        by: Name of the hyperparameter on the left, or several.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If no trial was completed.
    """
    matplotlib = import_matplotlib()
    table = results_table(tuner)
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
    titles = [_title(row, by) for row in best]
    for row in table:
        if name in row:
            height = titles.index(_title(row, by))
            axes.plot(row[name], height, ".", color="#5b7fa6", alpha=0.6)
    for height, row in enumerate(best):
        axes.errorbar(
            row[name],
            height,
            xerr=row.get(f"{name}_std"),
            fmt="o",
            color="#e4572e",
            capsize=3,
        )
    axes.margins(y=0.08)
    axes.set_yticks(range(len(titles)), titles)
    axes.invert_yaxis()
    axes.set_xlabel(f"{name}, mean and deviation over seeds")
    values = [row[name] for row in table if name in row]
    if _wants_logarithm(values):
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
    axes.plot(order, values, ".", color="#5b7fa6", label="trial")
    axes.step(
        order,
        best.accumulate(values),
        where="post",
        color="#e4572e",
        label="best so far",
    )
    if _wants_logarithm(values):
        axes.set_yscale("log")
    axes.set(xlabel="completed trials", ylabel=name)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()


def _wants_logarithm(values):
    return min(values) > 0 and max(values) > 20 * min(values)


def _row(trial):
    row = {"trial": trial.trial_id, "status": trial.status}
    for name, history in trial.metrics.metrics.items():
        values = [value for o in history.get_history() for value in o.value]
        if values and trial.status == "COMPLETED":
            row[name] = float(statistics.mean(values))
    row.update(trial.hyperparameters.values)
    if trial.status != "COMPLETED" and trial.message:
        row["message"] = trial.message.strip().splitlines()[-1]
    return row


def _key(row, by):
    names = [by] if isinstance(by, str) else list(by)
    return tuple(row.get(name) for name in names)


def _title(row, by):
    """The values of `by` in words, such as `vanilla (shift=5)`."""
    values = _key(row, by)
    names = [by] if isinstance(by, str) else list(by)
    more = [
        f"{name}={_cell(value)}"
        for name, value in zip(names[1:], values[1:])
        if value is not None
    ]
    return f"{values[0]} ({', '.join(more)})" if more else str(values[0])


def _with_spread(row, name):
    text, spread = _cell(row.get(name, "")), row.get(f"{name}_std")
    return text if spread is None else f"{text} ± {spread:.2g}"


def _cell(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)
