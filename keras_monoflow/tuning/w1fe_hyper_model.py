"""A search over the settings of W1-FE."""

from typing import Any

from keras_monoflow.models import W1FE
from keras_monoflow.tuning.flow_hyper_model import FlowHyperModel


class W1FEHyperModel(FlowHyperModel):
    """Which K, step size and penalty suit the data?

    As `MappingHyperModel`, for `W1FE`: the search space has `penalty`,
    `penalty_weight`, `penalty_every`, `critic_steps`, `persistency`,
    `step_size`, `update`, `optimizer`, `generator_learning_rate`,
    `critic_learning_rate`, `beta_1`, `ema`, and any other argument of
    `W1FE.compile` that `space` adds, and `pack`.

    Example:

    ```python
    import keras_tuner
    import keras_monoflow as kmf

    hypermodel = kmf.tuning.W1FEHyperModel(
        lambda seed: kmf.networks.mlp_generator(2, 2, seed=seed),
        lambda seed: kmf.networks.mlp_discriminator(2, seed=seed),
        space={"critic_warmup": 50, "update": "persistent"},
    )
    print(hypermodel.objective)
    ```
    """

    model_class = W1FE

    def default_space(self) -> dict[str, Any]:
        return {
            "penalty": "lipschitz",
            "penalty_weight": lambda hp: hp.Float(
                "penalty_weight", 1.0, 100.0, sampling="log"
            ),
            **super().default_space(),
        }
