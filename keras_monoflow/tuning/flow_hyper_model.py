"""What the searches of all flows share."""

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_monoflow.arguments import check_integer
from keras_monoflow.callbacks import DistributionMetrics
from keras_monoflow.callbacks.distribution_metrics import Metrics
from keras_monoflow.metrics import FrechetDistance
from keras_monoflow.tuning import common_space
from keras_monoflow.tuning.diverging import StopWhenDiverged
from keras_monoflow.tuning.scores import (
    best_epoch,
    check_epochs,
    summary,
    tuner_objective,
)
from keras_monoflow.tuning.search_space import SearchSpace, none_of
from keras_monoflow.tuning.trial_callbacks import fresh_callbacks

#: What the `compile` of the models passes on to Keras.
KERAS_ARGUMENTS = ["jit_compile", "run_eagerly", "steps_per_execution"]


class FlowHyperModel(keras_tuner.HyperModel):
    """Base class: builds, trains and judges a model for a trial.

    A subclass names its `model_class`, completes `default_space`, and extends
    `compile_arguments(hp)`.

    A trial trains one model for each seed, and takes the metrics of its best
    epoch, of which the tuner keeps the weights. It reports their mean as
    `val_<metric>`, and with several seeds the values as
    `val_<metric>_seed_<seed>` and the standard deviation as
    `val_<metric>_std`. Losses of GANs do not say which model is better, and
    cannot be the objective.

    Args:
        generator_fn: Function that returns a new, built generator. It is given
            `hp` and `seed` if it has arguments of these names, so that it may
            declare hyperparameters of its own.
        critic_fn: The same for the discriminator or critic, if there is one. It
            is given `pack` too.
        metrics: A `keras_monoflow.metrics.DistributionMetric` or a list. The
            first is the objective. Defaults to `FrechetDistance()`.
        samples: Integer, the samples that are compared.
        every: Integer, the number of epochs between two computations of the
            metrics.
        seeds: Integers, the seeds of weights, noise and order of the data. An
            integer is one seed. Each trial trains a model for each.
        space: Dictionary that replaces entries of `default_space()`, or adds
            arguments of `compile`, and `pack` of models that have it; `"none"`
            stands for `None`. An entry is a constant, a list of choices,
            or a function of `hp`, such as
            `lambda hp: hp.Float("step_size", 0.01, 1.0, sampling="log")`.
            Other optimizers must come from functions: `"generator_optimizer":
            lambda hp: keras.optimizers.RMSprop(1e-4)`.
        prior: The prior of the model.
        divergence_limit: Positive number. A trial whose losses exceed it, or
            are NaN, ends and counts as failed. Pass a large
            `max_consecutive_failed_trials` to the tuner: by default KerasTuner
            gives up a search after three failures in a row.
    """

    #: The class of the models.
    model_class: Any = None

    def __init__(
        self,
        generator_fn: Callable[..., keras.Model],
        critic_fn: Any = None,
        metrics: Metrics | None = None,
        samples: int = 1000,
        every: int = 1,
        seeds: int | Sequence[int] = (0,),
        space: Mapping[str, Any] | None = None,
        prior: Any = "normal",
        divergence_limit: float = 1e6,
    ) -> None:
        super().__init__()
        #: What makes the networks, in the order of the model's arguments.
        self.network_fns = {"generator_fn": generator_fn}
        if self.role != "generator":
            self.network_fns[f"{self.role}_fn"] = critic_fn
        for name, function in self.network_fns.items():
            if not callable(function) or isinstance(function, keras.Model):
                raise TypeError(
                    f"`{name}` must be a function that returns a new network. "
                    f"Received: {name}={function!r}"
                )
        metrics = FrechetDistance() if metrics is None else metrics
        #: What judges every trial.
        self.measures = DistributionMetrics(metrics, every, samples)
        self.seeds = _check_seeds(seeds)
        names = inspect.signature(self.model_class.compile).parameters
        others = [*names][1:-1] + KERAS_ARGUMENTS
        self.packs = "pack" in inspect.signature(self.model_class).parameters
        self.space = SearchSpace(
            self.default_space(), space, others + ["pack"] * self.packs
        )
        self.prior = prior
        self.divergence_limit = float(divergence_limit)

    @property
    def role(self) -> str:
        """What the model calls its discriminator or critic."""
        return self.model_class.role

    @property
    def objectives(self) -> list[keras_tuner.Objective]:
        """One of each metric."""
        return [
            keras_tuner.Objective(f"val_{metric.name}", metric.direction)
            for metric in self.measures.metrics
        ]

    @property
    def objective(self) -> keras_tuner.Objective:
        """That of the first metric, to pass to a tuner."""
        return self.objectives[0]

    def default_space(self) -> dict[str, Any]:
        """Returns the entries of the search space by name."""
        return common_space.default_entries(self.role)

    def value(self, hp: Any, name: str) -> Any:
        """Declares an entry of the space and returns its value."""
        return self.space.value(hp, name)

    def value_if(
        self,
        hp: Any,
        name: str,
        other: str,
        other_value: Any,
        condition: Callable[[Any], bool],
    ) -> Any:
        """As `value`, or `None` where another entry has a value for which
        `condition(other_value)` does not hold."""
        return self.space.value_if(hp, name, other, other_value, condition)

    def compile_arguments(self, hp: Any) -> dict[str, Any]:
        """Declares the hyperparameters and returns arguments of `compile`."""
        return {
            **common_space.compile_arguments(self.space, hp, self.role),
            **self.added_arguments(hp),
        }

    def added_arguments(self, hp: Any) -> dict[str, Any]:
        """Declares the arguments of `compile` that `space` has added."""
        values = {
            name: self.value(hp, name)
            for name in self.space.added
            if name != "pack"
        }
        return {name: none_of(value) for name, value in values.items()}

    def model_arguments(self, hp: Any) -> dict[str, Any]:
        """Declares and returns further arguments of the constructor."""
        return {"pack": self.value(hp, "pack")} if "pack" in self.space else {}

    def build(self, hp: Any) -> keras.Model:
        """Returns the compiled model of the first seed."""
        return self.build_with_seed(hp, self.seeds[0])

    def build_with_seed(self, hp: Any, seed: int) -> keras.Model:
        """Returns a compiled model whose weights and noise follow `seed`."""
        hp.Fixed("seeds", " ".join(map(str, self.seeds)))
        arguments = self.compile_arguments(hp)
        further = self.model_arguments(hp)
        keras.utils.set_random_seed(seed)
        offered = {"hp": hp, "seed": seed, "pack": 1, **further}
        networks = [_call(f, offered) for f in self.network_fns.values()]
        model = self.model_class(
            *networks, prior=self.prior, seed=seed, **further
        )
        model.compile(**arguments)
        # So that `evaluate` of the best model gives its score again.
        model.distribution_metrics = self.measures
        return model

    def fit(
        self,
        hp: Any,
        model: keras.Model,
        *args: Any,
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        verbose: Any = "auto",
        **kwargs: Any,
    ) -> dict[str, float]:
        """Trains a model for each seed.

        Args:
            hp: A `keras_tuner.HyperParameters`.
            model: What `build` returned.
            *args: Arguments of the model's `fit`.
            callbacks: Those of the user and of the tuner.
            verbose: 0 prints nothing, 1 or `"auto"` a line for each seed, and
                2 also one for each epoch.
            **kwargs: Arguments of the model's `fit`.

        Returns:
            Dictionary of metrics.

        Raises:
            keras_tuner.errors.FailedTrialError: If the training diverged.
            keras_tuner.errors.FatalValueError: If no trial can be judged so:
                another objective, fewer epochs than `every`, or a callback
                that cannot be part of a search.
        """
        callbacks = list(callbacks or [])
        objective = tuner_objective(callbacks, self.objectives)
        if "tuner/bracket" in hp.values and len(self.seeds) > 1:
            raise keras_tuner.errors.FatalValueError(
                "Hyperband goes on with the weights of earlier trials, which "
                f"are those of one seed. Received: seeds={self.seeds!r}"
            )
        epochs = args[3] if len(args) > 3 else kwargs.get("epochs", 1)
        start = kwargs.get("initial_epoch", 0)
        check_epochs(epochs, start, self.measures.every)
        kwargs["verbose"] = 2 if verbose == 2 else 0
        names = [o.name for o in self.objectives]
        results: dict[int, dict[str, float]] = {}
        for seed in self.seeds:
            if results:
                model = self.build_with_seed(hp, seed)
            folder = f"seed_{seed}" if len(self.seeds) > 1 else ""
            fresh = fresh_callbacks(callbacks, hp.values, folder)
            history = self._train(model, seed, args, fresh, kwargs)
            results[seed] = best_epoch(history, names, objective)
            if verbose:
                values = (f"{k} = {v:.4g}" for k, v in results[seed].items())
                print(f"Seed {seed}: {', '.join(values)}", flush=True)
        scores = summary(results)
        # Of several objectives, KerasTuner wants the sum too.
        scores.setdefault(objective.name, objective.get_value(scores))
        return scores

    def _train(self, model, seed, args, callbacks, kwargs):
        diverged = StopWhenDiverged(self.divergence_limit)
        keras.utils.set_random_seed(seed)
        measures = copy.copy(self.measures)
        history = model.fit(
            *args, callbacks=[measures, diverged, *callbacks], **kwargs
        ).history
        if diverged.reason is not None:
            raise keras_tuner.errors.FailedTrialError(
                f"Seed {seed} {diverged.reason}. Lower learning rates or "
                "a penalty may help."
            )
        return history


def _check_seeds(seeds):
    """Returns the seeds as a tuple of different integers."""
    checked = tuple(
        check_integer("seeds", seed, minimum=0)
        for seed in np.atleast_1d(np.asarray(seeds, dtype="object"))
    )
    if not checked or len(set(checked)) < len(checked):
        raise ValueError(
            f"`seeds` must be different numbers. Received: seeds={seeds!r}"
        )
    return checked


def _call(function, offered):
    parameters = inspect.signature(function).parameters
    return function(**{k: v for k, v in offered.items() if k in parameters})
