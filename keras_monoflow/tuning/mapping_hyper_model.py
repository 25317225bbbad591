"""A search over mappings of MonoFlow."""

from collections.abc import Callable
from typing import Any

import keras
import keras_tuner

from keras_monoflow import mappings
from keras_monoflow.callbacks.distribution_metrics import Metrics
from keras_monoflow.models import MonoFlowGAN
from keras_monoflow.registry import MAPPINGS
from keras_monoflow.tuning.flow_hyper_model import FlowHyperModel


class MappingHyperModel(FlowHyperModel):
    """Which mapping, objective, K and step size suit the data?

    A `keras_tuner.HyperModel` of `MonoFlowGAN`. Its search space has

    - `mapping`: names, and `keras_monoflow.mappings.Mapping`s; with them
      `alpha` for the name `"alpha"`, `shift` for `"vanilla"`, and `limit` for
      those that explode;
    - `discriminator_loss`: names; `"matched"` only for mappings with a dual.
      For the others the entry is `discriminator_loss_without_dual`;
    - `penalty`, `"none"`, the name of one or a sum such as `"r1+r2"`, and for
      all of these `penalty_weight` and `penalty_every`;
    - `discriminator_steps`; `persistency`, and for more than one step
      `step_size` and `update`;
    - `optimizer`, `generator_learning_rate`, `discriminator_learning_rate`, and
      for Adam `beta_1`;
    - `ema`, 0 for none;

    and any other argument of `MonoFlowGAN.compile` that `space` adds, such as
    `"augment": ["none", "diff_augment", "ada"]`, and `pack`, which
    `discriminator_fn` is given too. Entries that matter only for some
    choices are conditional hyperparameters.

    Args:
        generator_fn: Function that returns a new, built generator; see
            `FlowHyperModel`.
        discriminator_fn: The same for the discriminator.
        metrics: A `keras_monoflow.metrics.DistributionMetric` or a list. The
            first is the objective. Defaults to `FrechetDistance()`.
        **kwargs: The other arguments of `FlowHyperModel`: `samples`, `every`,
            `seeds`, `space`, `prior` and `divergence_limit`.

    Raises:
        TypeError: If a function is not one, or a metric is of another class.
        ValueError: If `space` has an unknown name, or seeds are repeated.

    Example:

    ```python
    import keras_tuner
    import keras_monoflow as kmf

    hypermodel = kmf.tuning.MappingHyperModel(
        lambda seed: kmf.networks.mlp_generator(2, 2, seed=seed),
        lambda seed: kmf.networks.mlp_discriminator(2, seed=seed),
        seeds=(0, 1),
        space={"mapping": ["identity", "vanilla"], "persistency": 1},
    )
    tuner = keras_tuner.RandomSearch(
        hypermodel,
        objective=hypermodel.objective,
        max_trials=2,
        directory="runs",
        project_name="mappings",
    )
    data = kmf.datasets.gaussian_ring(512, seed=0)
    tuner.search(data, batch_size=256, epochs=2, verbose=0)
    print(kmf.tuning.results_table(tuner))
    ```
    """

    model_class = MonoFlowGAN

    def __init__(
        self,
        generator_fn: Callable[..., keras.Model],
        discriminator_fn: Callable[..., keras.Model],
        metrics: Metrics | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(generator_fn, discriminator_fn, metrics, **kwargs)

    def default_space(self) -> dict[str, Any]:
        return {
            "mapping": _default_mappings(),
            "shift": [0.0, 1.0, 3.0, 5.0],
            "alpha": [-1.0, 0.5, 1.0, 2.0],
            "limit": [2.0, 12.0],
            "discriminator_loss": ["logistic", "matched", "relativistic"],
            "penalty": ["none", "r1", "r1+r2"],
            "penalty_weight": lambda hp: hp.Float(
                "penalty_weight", 0.01, 10.0, sampling="log"
            ),
            **super().default_space(),
        }

    def compile_arguments(self, hp: Any) -> dict[str, Any]:
        mapping = self.mapping(hp)
        return {
            "mapping": mapping,
            "discriminator_loss": self._discriminator_loss(hp),
            **super().compile_arguments(hp),
        }

    def mapping(self, hp: Any) -> Any:
        """Declares the mapping with its parameters and returns it."""
        named = self._mappings()
        if named is None:
            return self.value(hp, "mapping")
        choice = named[hp.Choice("mapping", list(named))]
        parameters = {}
        for name in ("alpha", "shift", "limit"):
            labels = [k for k, m in named.items() if name in _parameters(m)]
            if labels:
                with hp.conditional_scope("mapping", labels):
                    if name in _parameters(choice):
                        parameters[name] = self.value(hp, name)
        if choice == "alpha":
            return mappings.Alpha(**parameters)
        mapping = mappings.get(choice)
        if not parameters:
            return mapping
        return type(mapping)(**{**mapping.get_config(), **parameters})

    def _mappings(self):
        """Returns the mappings to choose from, by strings that stand for them,
        since KerasTuner takes no other objects; `None` if they are not known.
        """
        entry = self.space["mapping"]
        if isinstance(entry, (str, mappings.Mapping)):
            entry = [entry]
        if not isinstance(entry, (list, tuple)):
            return None
        return {_label(choice): choice for choice in entry}

    def _discriminator_loss(self, hp):
        entry, named = self.space["discriminator_loss"], self._mappings()
        is_list = isinstance(entry, (list, tuple))
        if named is None or not is_list or "matched" not in entry:
            return self.value(hp, "discriminator_loss")
        # Not all mappings have a dual, and with it a matched objective.
        with_dual = [k for k, choice in named.items() if _has_dual(choice)]
        without = [k for k in named if k not in with_dual]
        others = [name for name in entry if name != "matched"]
        if without and not others:
            raise keras_tuner.errors.FatalValueError(
                f"No matched objective is known for {', '.join(without)}: add "
                "another `discriminator_loss` to `space`."
            )
        values = {}
        # KerasTuner loses values of one name with two conditions.
        for labels, name, choices in (
            (with_dual, "discriminator_loss", list(entry)),
            (without, "discriminator_loss_without_dual", others),
        ):
            if labels:
                with hp.conditional_scope("mapping", labels):
                    value = hp.Choice(name, choices)
                values.update(dict.fromkeys(labels, value))
        return values[hp.get("mapping")]


def _label(choice):
    if isinstance(choice, str):
        return choice
    return getattr(choice, "__name__", repr(choice))


def _default_mappings():
    """Every registered name, but one for all that differ in `alpha` alone."""
    named = {name: mappings.get(name) for name in MAPPINGS.makers}
    others = [n for n, m in named.items() if not isinstance(m, mappings.Alpha)]
    return [*others, "alpha"]


def _parameters(choice):
    """The parameters of a mapping that a search varies, if it has a name."""
    if not isinstance(choice, str):
        return ()
    if choice == "alpha":
        return ("alpha", "limit")
    mapping = mappings.get(choice)
    # The other named members of the alpha family have their alpha.
    return tuple(n for n in ("shift", "limit") if hasattr(mapping, n))


def _has_dual(choice):
    return choice == "alpha" or mappings.get(choice).dual is not None
