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


def check_epochs(epochs: int, initial_epoch: int, every: int) -> None:
    """Checks that a training has an epoch with metrics.

    Args:
        epochs: As in `fit`.
        initial_epoch: As in `fit`.
        every: They are computed every that many epochs.

    Raises:
        keras_tuner.errors.FatalValueError: If not.
    """
    if epochs // every > initial_epoch // every:
        return
    trained = f"epochs={epochs}"
    if initial_epoch:
        trained += f" from initial_epoch={initial_epoch}"
    raise keras_tuner.errors.FatalValueError(
        f"No metric would be computed in a trial of {trained}, with "
        f"every={every}. Train longer, or pass a smaller `every` to the "
        "hypermodel; with Hyperband, whose first trials are short, every=1."
    )


def best_epoch(
    history: Mapping[str, Sequence[float]],
    names: Sequence[str],
    objective: Any,
) -> dict[str, float]:
    """Returns the metrics of the best epoch.

    Args:
        history: Lists of values by name, one for each epoch.
        names: Names of the metrics.
        objective: `keras_tuner.Objective` that says which epoch is better.

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
            f"{names[0]} was not finite in any epoch."
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
