"""What a search found, as a table and a picture."""

import csv
import dataclasses
import os
import re
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import keras_tuner

from keras_monoflow.plots.search_plot import plot_search


@dataclasses.dataclass
class ResultsTable:
    """Rows of named values, which print as a table.

    Printed are the columns that differ. The values of several seeds print as
    their mean ± standard deviation.

    Attributes:
        rows: List of dictionaries by column. A value may be missing.
        objective: Name of the column that was optimized.
        direction: `"min"` or `"max"`.
    """

    rows: list[dict[str, Any]]
    objective: str
    direction: str

    @property
    def columns(self) -> list[str]:
        """The names of all columns."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.rows[index]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __str__(self) -> str:
        return self._text("", "  ", "")

    def to_markdown(self) -> str:
        """Returns the table in Markdown."""
        return self._text("| ", " | ", " |", rule=True)

    def to_csv(self, path: str | os.PathLike) -> None:
        """Writes all columns to a file."""
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(self.rows)

    def best_by(self, by: str | Sequence[str] = "mapping") -> "ResultsTable":
        """Returns the best row for each value of a column, best first.

        Args:
            by: Name of a column, or several.

        Raises:
            ValueError: If there is no such column.
        """
        names = [by] if isinstance(by, str) else by
        unknown = [name for name in names if name not in self.columns]
        if unknown and self.rows:
            raise ValueError(
                f"The table has no column {unknown[0]!r}. Pass one of them as "
                f"`by`: {', '.join(self.columns)}."
            )
        best: dict[tuple, dict[str, Any]] = {}
        for row in self.rows:
            if self.objective in row:
                best.setdefault(tuple(row.get(n) for n in names), row)
        return dataclasses.replace(self, rows=list(best.values()))

    def title(self, row: dict[str, Any], by: str | Sequence[str]) -> str:
        """Returns the values of columns in words, like `vanilla (shift=5)`.

        Args:
            row: A row of the table.
            by: Name of a column, or several.
        """
        first, *others = [by] if isinstance(by, str) else by
        details = [
            f"{name}={_cell(row[name])}"
            for name in others
            if row.get(name) is not None
        ]
        value = str(row.get(first))
        return f"{value} ({', '.join(details)})" if details else value

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


def results_table(tuner: keras_tuner.Tuner) -> ResultsTable:
    """Returns the trials of a search, the best first and failed ones last.

    A row has the trial, its status, the metrics, the hyperparameters that
    mattered, and for a trial that failed why it did. As a string, the table
    shows the columns that differ.

    Args:
        tuner: A `keras_tuner.Tuner` after its search, or one that was made
            with the same folder: finished trials are read from there.

    Returns:
        A `ResultsTable`.

    Raises:
        RuntimeError: In a worker of a parallel search, which sees only its own
            trials.

    Example:

    ```python
    import keras_monoflow as kmf

    # print(kmf.tuning.results_table(tuner).best_by("mapping"))
    ```
    """
    objective = tuner.oracle.objective
    try:
        trials = list(tuner.oracle.trials.values())
    except AttributeError:
        raise RuntimeError(
            "This process is a worker of a parallel search; only the chief "
            "knows all trials. Read them after the search, in a process "
            "without `KERASTUNER_TUNER_ID`, from a tuner with the same "
            f"`directory` and `project_name`: {tuner.project_dir!r}."
        ) from None
    done = [t for t in trials if t.status == "COMPLETED"]
    done.sort(key=lambda t: t.score, reverse=objective.direction == "max")
    rows = [_row(t) for t in done]
    rows += [_row(t) for t in trials if t.status != "COMPLETED"]
    return ResultsTable(rows, objective.name, objective.direction)


def plot_results(
    tuner: keras_tuner.Tuner, by: str | Sequence[str] = "mapping"
) -> Any:
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
        RuntimeError: In a worker of a parallel search.
        ValueError: If no trial was completed.
    """
    return plot_search(results_table(tuner), by)


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


def _with_spread(row, name):
    text, spread = _cell(row.get(name, "")), row.get(f"{name}_std")
    return text if spread is None else f"{text} ± {spread:.2g}"


def _cell(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)
