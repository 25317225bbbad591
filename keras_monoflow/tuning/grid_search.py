"""KerasTuner's grid search, made to resume."""

import functools
from typing import Any

import keras_tuner
from keras_tuner import oracles


class GridSearchOracle(oracles.GridSearchOracle):
    """KerasTuner's oracle, which finds its place again after a restart.

    KerasTuner 1.4.8 saves the trials of a grid, but not which combination
    comes next (keras-team/keras-tuner#1055): a search that was interrupted
    stops with a `KeyError`. Here the order is made anew from the trials.
    """

    def reload(self) -> None:
        super().reload()
        ids = sorted(
            self.trials, key=functools.cmp_to_key(self._compare_trials)
        )
        for trial_id in ids:
            self._ordered_ids.insert(trial_id)
        # Those whose next combination was tried are passed over.
        self._populate_next = ids

    def _compare_trials(self, a, b):
        a, b = (self.trials[i].hyperparameters.values for i in (a, b))
        return self._compare(a, b)


class GridSearch(keras_tuner.Tuner):
    """`keras_tuner.GridSearch` that resumes after it was killed.

    With the same `directory` and `project_name`, finished trials are kept, and
    those that were interrupted begin anew. Other tuners of KerasTuner do so by
    themselves.

    Args:
        hypermodel: A `keras_tuner.HyperModel`, or a function of `hp`.
        objective: A `keras_tuner.Objective`, such as `hypermodel.objective`.
        max_trials: Integer, the largest number of trials, or `None`.
        seed: Integer or `None`.
        max_retries_per_trial: Integer, how often a failed trial is repeated.
        max_consecutive_failed_trials: Integer, how many failed trials in a row
            end the search.
        **kwargs: Other arguments of `keras_tuner.Tuner`, such as `directory`
            and `project_name`.
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = None,
        seed: int | None = None,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **kwargs: Any,
    ) -> None:
        oracle = GridSearchOracle(
            objective=objective,
            max_trials=max_trials,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        super().__init__(oracle, hypermodel, **kwargs)
