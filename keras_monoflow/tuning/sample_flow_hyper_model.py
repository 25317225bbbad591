"""A search over velocities from samples."""

from collections.abc import Callable
from typing import Any

import keras

from keras_monoflow.callbacks.distribution_metrics import Metrics
from keras_monoflow.models import SampleFlow
from keras_monoflow.registry import VELOCITIES
from keras_monoflow.tuning import common_space
from keras_monoflow.tuning.flow_hyper_model import FlowHyperModel
from keras_monoflow.tuning.search_space import none_of
from keras_monoflow.velocities import KernelRatio

#: Entries that matter for the velocity of kernel densities alone.
OF_KERNEL_RATIO = ("kernel", "bandwidths", "mapping")


class SampleFlowHyperModel(FlowHyperModel):
    """Which velocity, K and step size suit the data?

    As `MappingHyperModel`, for `SampleFlow`, which has no discriminator: the
    search space has `velocity`, for `"kernel_ratio"` also `kernel`,
    `bandwidths` and `mapping`, and `persistency`, `step_size`,
    `normalize_velocity`, `optimizer`, `generator_learning_rate`, `beta_1`,
    `ema`, and any other argument of `SampleFlow.compile` that `space` adds.

    Args:
        generator_fn: Function that returns a new, built generator, as in
            `FlowHyperModel`.
        metrics: As there.
        features: The frozen network of all models, or `None`.
        **kwargs: As there.

    Example:

    ```python
    import keras_monoflow as kmf

    hypermodel = kmf.tuning.SampleFlowHyperModel(
        lambda seed: kmf.networks.mlp_generator(2, 2, seed=seed),
        space={"velocity": ["sinkhorn", "drifting"], "persistency": 5},
    )
    print(hypermodel.objective)
    ```
    """

    model_class = SampleFlow

    def __init__(
        self,
        generator_fn: Callable[..., keras.Model],
        metrics: Metrics | None = None,
        features: keras.Model | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(generator_fn, None, metrics, **kwargs)
        self.features = features

    def model_arguments(self, hp: Any) -> dict[str, Any]:
        return {"features": self.features}

    def default_space(self) -> dict[str, Any]:
        common = common_space.default_entries(self.role)
        shared = ("optimizer", "generator_learning_rate", "beta_1")
        return {
            "velocity": sorted(VELOCITIES.makers),
            "kernel": ["student", "laplace"],
            "bandwidths": lambda hp: hp.Float(
                "bandwidths", 0.05, 0.5, sampling="log"
            ),
            "mapping": "identity",
            **{name: common[name] for name in shared},
            "persistency": [1, 3, 5],
            "step_size": lambda hp: hp.Float(
                "step_size", 0.02, 0.5, sampling="log"
            ),
            "normalize_velocity": True,
            "ema": common["ema"],
        }

    def compile_arguments(self, hp: Any) -> dict[str, Any]:
        names = ("persistency", "step_size", "normalize_velocity")
        return {
            "velocity": self.velocity(hp),
            **common_space.optimizers(self.space, hp, ("generator",)),
            **{name: self.value(hp, name) for name in names},
            "ema": none_of(self.value(hp, "ema")) or None,
            **self.added_arguments(hp),
        }

    def velocity(self, hp: Any) -> Any:
        """Declares the velocity with its parameters and returns it."""
        choice = self.value(hp, "velocity")
        parameters = {
            name: self.value_if(
                hp, name, "velocity", choice, lambda v: v == "kernel_ratio"
            )
            for name in OF_KERNEL_RATIO
        }
        if choice != "kernel_ratio":
            return choice
        return KernelRatio(**parameters)
