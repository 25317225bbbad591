"""From the logs of trainings to the score of a trial."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np


def tuner_objective(
    callbacks: Sequence[Any], objectives: Sequence[keras_tuner.Objective]
) -> Any:
    """Returns the tuner's objective, or the first outside of a tuner.

    Args:
        callbacks: What KerasTuner hands to `fit`: one holds the objective.
        objectives: What a trial measures.

    Raises:
        keras_tuner.errors.FatalValueError: If the tuner's is another one.
    """
    names = [objective.name for objective in objectives]
    for callback in callbacks:
        objective = getattr(callback, "objective", None)
        if not hasattr(objective, "better_than"):
            continue
        parts = getattr(objective, "objectives", [objective])
        if all(part.name in names for part in parts):
            return objective
        raise keras_tuner.errors.FatalValueError(
            "The objective must be a metric of the samples: the losses of "
            "adversarial models do not tell which is better. Pass "
            "`objective=hypermodel.objective` to the tuner. Received: "
            f"{objective!r}; known names: {', '.join(names)}"
        )
    return objectives[0]


def best_epoch(
    history: Mapping[str, Sequence[float]],
    names: Sequence[str],
    objective: Any,
    every: int,
) -> dict[str, float]:
    """Returns the metrics of the best epoch.

    Args:
        history: Lists of values by name, one for each epoch.
        names: Names of the metrics.
        objective: `keras_tuner.Objective` that says which epoch is better.
        every: They were computed every that many epochs.

    Raises:
        keras_tuner.errors.FailedTrialError: If it was finite in no epoch.
    """
    best = None
    for values in zip(*(history[name] for name in names)):
        logs = dict(zip(names, values))
        value = objective.get_value(logs)
        if np.isfinite(value) and (
            best is None
            or objective.better_than(value, objective.get_value(best))
        ):
            best = logs
    if best is None:
        raise keras_tuner.errors.FailedTrialError(
            f"{names[0]} was not finite in any epoch. Are there fewer epochs "
            f"than every={every}?"
        )
    return best


def summary(
    results: Mapping[int, Mapping[str, float]],
) -> dict[str, float]:
    """Returns means, and with several seeds values and deviations.

    Args:
        results: For each seed, the metrics by name.
    """
    scores = {}
    for name in next(iter(results.values())):
        values = [float(result[name]) for result in results.values()]
        scores[name] = float(np.mean(values))
        if len(values) > 1:
            scores[f"{name}_std"] = float(np.std(values, ddof=1))
            for seed, value in zip(results, values):
                scores[f"{name}_seed_{seed}"] = value
    return scores
