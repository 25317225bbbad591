"""What the searches of all flows share."""

import copy
import inspect
import os

import keras
import keras_tuner
import numpy as np

from keras_monoflow import penalties
from keras_monoflow.arguments import check_integer
from keras_monoflow.callbacks import DistributionMetrics, TensorBoard
from keras_monoflow.metrics import FrechetDistance
from keras_monoflow.tuning import search_space
from keras_monoflow.tuning.diverging import StopWhenDiverged

PENALTIES = {
    "gradient_penalty": penalties.GradientPenalty,
    "lipschitz": penalties.LipschitzPenalty,
    "r1": penalties.R1,
    "r2": penalties.R2,
    "dragan": penalties.DRAGAN,
}


#: What the `compile` of the models passes on to Keras.
OF_THE_TRAINER = ["jit_compile", "run_eagerly", "steps_per_execution"]


class FlowHyperModel(keras_tuner.HyperModel):
    """Base class: builds, trains and judges a model for a trial.

    A subclass names its `model_class`, completes `default_space`, and extends
    `compile_arguments(hp)`.

    A trial trains one model for each seed, and reports, for every metric, the
    mean as `val_<metric>`, and with several seeds the values as
    `val_<metric>_seed_<seed>` and their standard deviation as
    `val_<metric>_std`. They are those of the best epoch, of which the tuner
    keeps the weights. Losses of GANs do not say which model is better, and
    cannot be the objective.

    Args:
        generator_fn: Function that returns a new, built generator. It is given
            `hp` and `seed` if it has arguments of these names, so that it may
            declare hyperparameters of its own.
        critic_fn: The same for the discriminator or critic.
        metrics: A `keras_monoflow.metrics.DistributionMetric` or a list. The
            first is the objective. Defaults to `FrechetDistance()`.
        samples: Integer, the samples that are compared.
        every: Integer, the metrics are computed every that many epochs.
        seeds: Integers, the seeds of weights, noise and order of the data. An
            integer is one seed. They are recorded with every trial.
        space: Dictionary that replaces entries of `default_space()`, or adds
            arguments of `compile`. An entry is a constant, a list of choices,
            or a function of `hp`, such as
            `lambda hp: hp.Float("step_size", 0.01, 1.0, sampling="log")`.
            Other optimizers must come from functions: `"generator_optimizer":
            lambda hp: keras.optimizers.RMSprop(1e-4)`.
        prior: The prior of the model.
        divergence_limit: Positive number. A trial whose losses exceed it, or
            are NaN, ends and counts as failed.

    Attributes:
        objective: `keras_tuner.Objective` of the first metric, to pass to
            a tuner.
        objectives: Those of all metrics.
    """

    #: The class of the models, and what it calls its critic.
    model_class = None

    def __init__(
        self,
        generator_fn,
        critic_fn,
        metrics=None,
        samples=1000,
        every=1,
        seeds=(0,),
        space=None,
        prior="normal",
        divergence_limit=1e6,
    ):
        super().__init__()
        self.generator_fn, self.critic_fn = generator_fn, critic_fn
        for name, function in (
            ("generator_fn", generator_fn),
            (f"{self.role}_fn", critic_fn),
        ):
            if not callable(function) or isinstance(function, keras.Model):
                raise TypeError(
                    f"`{name}` must be a function that returns a new network. "
                    f"Received: {name}={function!r}"
                )
        metrics = FrechetDistance() if metrics is None else metrics
        #: What judges every trial.
        self.measures = DistributionMetrics(metrics, every, samples)
        self.seeds = tuple(
            check_integer("seeds", seed, minimum=0)
            for seed in np.atleast_1d(np.asarray(seeds, dtype="object"))
        )
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(
                f"`seeds` must be different numbers. Received: seeds={seeds!r}"
            )
        compile_arguments = inspect.signature(self.model_class.compile)
        self.space = search_space.merge(
            self.default_space(),
            space,
            [*compile_arguments.parameters][1:-1] + OF_THE_TRAINER,
        )
        self.prior = prior
        self.divergence_limit = float(divergence_limit)

    @property
    def role(self):
        return self.model_class.role

    @property
    def objectives(self):
        return [
            keras_tuner.Objective(f"val_{metric.name}", metric.direction)
            for metric in self.measures.metrics
        ]

    @property
    def objective(self):
        return self.objectives[0]

    # --------------------------------------------------------- the space

    def default_space(self):
        """Returns the entries of the search space by name."""
        return {
            "optimizer": "adam",
            "generator_learning_rate": lambda hp: hp.Float(
                "generator_learning_rate", 5e-5, 5e-3, sampling="log"
            ),
            f"{self.role}_learning_rate": lambda hp: hp.Float(
                f"{self.role}_learning_rate", 5e-5, 5e-3, sampling="log"
            ),
            "beta_1": [0.0, 0.5, 0.9],
            f"{self.role}_steps": [1, 2, 5],
            "persistency": [1, 3, 5],
            "step_size": lambda hp: hp.Float(
                "step_size", 0.01, 1.0, sampling="log"
            ),
            "update": ["persistent", "proximal"],
            "ema": [0.0, 0.99, 0.999],
        }

    def value(self, hp, name):
        """Declares an entry of the space and returns its value."""
        return search_space.declare(hp, name, self.space[name])

    def value_if(self, hp, name, other, other_value, condition):
        """Declares an entry that matters for some values of another one.

        Args:
            hp: A `keras_tuner.HyperParameters`.
            name: Name of the entry.
            other: Name of the entry that it depends on, declared before.
            other_value: The value of that entry.
            condition: Function from such a value to whether it matters.

        Returns:
            The value, or `None` where it does not matter.
        """
        with search_space.when(hp, other, self.space[other], condition):
            # Functions of the user need not know of `None`, which KerasTuner
            # gives for what does not matter.
            return self.value(hp, name) if condition(other_value) else None

    def compile_arguments(self, hp):
        """Declares the hyperparameters and returns arguments of `compile`."""
        arguments = {
            **self._optimizers(hp),
            f"{self.role}_steps": self.value(hp, f"{self.role}_steps"),
            "persistency": self.value(hp, "persistency"),
            "penalty": self._penalty(hp),
            "ema": self.value(hp, "ema") or None,
        }
        for name in ("step_size", "update"):
            value = self.value_if(
                hp,
                name,
                "persistency",
                arguments["persistency"],
                lambda steps: steps > 1,
            )
            if value is not None:
                arguments[name] = value
        added = set(self.space) - set(self.default_space())
        return arguments | {name: self.value(hp, name) for name in added}

    def _optimizers(self, hp):
        """Both optimizers, unless `space` has functions that make them."""
        roles = [
            role
            for role in ("generator", self.role)
            if f"{role}_optimizer" not in self.space
        ]
        if not roles:
            return {}
        name = self.value(hp, "optimizer")
        beta_1 = self.value_if(
            hp, "beta_1", "optimizer", name, lambda name: name == "adam"
        )
        more = {} if beta_1 is None else {"beta_1": beta_1}
        return {
            f"{role}_optimizer": keras.optimizers.deserialize(
                {
                    "class_name": name,
                    "config": {
                        "learning_rate": self.value(
                            hp, f"{role}_learning_rate"
                        ),
                        **more,
                    },
                }
            )
            for role in roles
        }

    def _penalty(self, hp):
        name = self.value(hp, "penalty")
        if not isinstance(name, str):
            return name  # a `Penalty` or `None`, as a constant
        weight = self.value_if(
            hp, "penalty_weight", "penalty", name, lambda name: name != "none"
        )
        if name == "none":
            return None
        if name not in PENALTIES:
            raise keras_tuner.errors.FatalValueError(
                f"Unknown penalty {name!r}. Known names: none, "
                f"{', '.join(sorted(PENALTIES))}."
            )
        return PENALTIES[name](weight)

    # ------------------------------------------------------ model and fit

    def build(self, hp):
        """Returns the compiled model of the first seed."""
        return self.build_with_seed(hp, self.seeds[0])

    def build_with_seed(self, hp, seed):
        """Returns a compiled model whose weights and noise follow `seed`."""
        hp.Fixed("seeds", " ".join(map(str, self.seeds)))
        arguments = self.compile_arguments(hp)
        keras.utils.set_random_seed(seed)
        model = self.model_class(
            _call(self.generator_fn, hp, seed),
            _call(self.critic_fn, hp, seed),
            prior=self.prior,
            seed=seed,
        )
        model.compile(**arguments)
        # So that `evaluate` of the best model gives its score again.
        model.distribution_metrics = self.measures
        return model

    def fit(self, hp, model, *args, callbacks=None, verbose="auto", **kwargs):
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
        """
        callbacks = list(callbacks or [])
        objective = self._objective_of(callbacks)
        if "tuner/bracket" in hp.values and len(self.seeds) > 1:
            raise keras_tuner.errors.FatalValueError(
                "Hyperband goes on with the weights of earlier trials, which "
                f"are those of one seed. Received: seeds={self.seeds!r}"
            )
        kwargs["verbose"] = 2 if verbose == 2 else 0
        results = {}
        for seed in self.seeds:
            if results:
                model = self.build_with_seed(hp, seed)
            ready = self._callbacks_for(hp, callbacks, seed)
            history = self._train(model, seed, args, ready, kwargs)
            results[seed] = self._best_epoch(history, objective)
            if verbose:
                values = (f"{k} = {v:.4g}" for k, v in results[seed].items())
                print(f"Seed {seed}: {', '.join(values)}", flush=True)
        summary = _summary(results)
        # Of several objectives, KerasTuner wants the sum too.
        summary.setdefault(objective.name, objective.get_value(summary))
        return summary

    def _objective_of(self, callbacks):
        """Returns the tuner's objective, or ours outside of a tuner."""
        names = [objective.name for objective in self.objectives]
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
        return self.objective

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

    def _best_epoch(self, history, objective):
        """Returns the metrics of the best epoch of a `History.history`."""
        names = [o.name for o in self.objectives]
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
                f"{names[0]} was not finite in any epoch. Are there fewer "
                f"epochs than every={self.measures.every}?"
            )
        return best

    def _callbacks_for(self, hp, callbacks, seed):
        """Returns fresh callbacks of the user, and the tuner's own."""
        trial = None
        for callback in callbacks:
            trial = getattr(callback, "trial", trial)
        ready = []
        for callback in callbacks:
            module = type(callback).__module__
            if module.startswith("keras_tuner"):
                ready.append(callback)
            elif module.startswith("tensorboard.plugins.hparams"):
                # Ours writes them, with the arguments of `compile`.
                if not any(isinstance(c, TensorBoard) for c in callbacks):
                    ready.append(callback)  # which cannot be copied
            else:
                ready.append(copy.deepcopy(callback))
        for callback in ready:
            if isinstance(callback, keras.callbacks.TensorBoard):
                callback.log_dir = self._log_dir(callback.log_dir, trial, seed)
            if isinstance(callback, TensorBoard):
                callback.hparams.update(hp.values)
        return ready

    def _log_dir(self, log_dir, trial, seed):
        # KerasTuner adds the trial by itself, but not on every backend.
        parts = os.path.normpath(log_dir).split(os.sep)
        if trial is not None and trial.trial_id not in parts[-2:]:
            log_dir = os.path.join(log_dir, trial.trial_id, "execution0")
        if len(self.seeds) > 1:
            log_dir = os.path.join(log_dir, f"seed_{seed}")
        return log_dir


def _call(function, hp, seed):
    parameters = inspect.signature(function).parameters
    offered = {"hp": hp, "seed": seed}
    return function(**{k: v for k, v in offered.items() if k in parameters})


def _summary(results):
    """Returns means, and with several seeds values and deviations."""
    summary = {}
    for name in next(iter(results.values())):
        values = [float(result[name]) for result in results.values()]
        summary[name] = float(np.mean(values))
        if len(values) > 1:
            summary[f"{name}_std"] = float(np.std(values, ddof=1))
            for seed, value in zip(results, values):
                summary[f"{name}_seed_{seed}"] = value
    return summary
