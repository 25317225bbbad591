"""A sum of velocities."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from keras_monoflow.arguments import check_number
from keras_monoflow.registry import VELOCITIES
from keras_monoflow.typing import Config, Logs, Seed, Tensor
from keras_monoflow.velocities.lookup import get
from keras_monoflow.velocities.pairs import Pairs
from keras_monoflow.velocities.velocity import Velocity


@VELOCITIES.register()
class WeightedSum(Velocity):
    """`sum_k w_k V_k` of several velocities; `0.5 * Energy() + Sinkhorn()`.

    Logs what all of them log, added up with the weights.

    Args:
        velocities: Velocities or their names.
        weights: A positive number for each.

    Raises:
        ValueError: If there are none, or not as many weights.

    Example:

    ```python
    import keras_monoflow as kmf

    near = kmf.velocities.KernelRatio("laplace", 0.1)
    velocity = near + 0.5 * kmf.velocities.Energy()
    ```
    """

    def __init__(
        self, velocities: Sequence[Any], weights: Sequence[float]
    ) -> None:
        velocities, weights = list(velocities), list(weights)
        if not velocities or len(velocities) != len(weights):
            raise ValueError(
                "WeightedSum takes one weight for each of its velocities, at "
                f"least one. Received: {len(velocities)} velocities and "
                f"weights={weights!r}."
            )
        checked = [
            check_number("weights of WeightedSum", w, above=0) for w in weights
        ]
        #: Velocities without sums among them, and their weights.
        self.velocities: list[Velocity] = []
        self.weights: list[float] = []
        for velocity, weight in zip(map(get, velocities), checked):
            if isinstance(velocity, WeightedSum):
                self.velocities += velocity.velocities
                self.weights += [weight * w for w in velocity.weights]
            else:
                self.velocities.append(velocity)
                self.weights.append(weight)
        self.log_names = tuple(
            name
            for name in self.velocities[0].log_names
            if all(name in v.log_names for v in self.velocities)
        )
        self.is_field = all(v.is_field for v in self.velocities)
        self.takes_labels = all(v.takes_labels for v in self.velocities)
        self.takes_guidance = all(v.takes_guidance for v in self.velocities)
        self.uses_second_batch = any(
            v.uses_second_batch for v in self.velocities
        )
        self.works_in_blocks = any(v.works_in_blocks for v in self.velocities)
        self.own_row_counts = all(v.own_row_counts for v in self.velocities)

    def flow(self, pairs: Pairs, seed: Seed) -> tuple[Tensor, Logs]:
        # Without a second batch each says whether its rows repel themselves.
        with_own = dataclasses.replace(pairs, repels_itself=True)
        parts = [
            v.flow(with_own if v.own_row_counts else pairs, seed)
            for v in self.velocities
        ]
        total = sum(w * v for w, (v, _) in zip(self.weights, parts))
        logs = {
            name: sum(w * log[name] for w, (_, log) in zip(self.weights, parts))
            for name in self.log_names
        }
        return total, logs

    def user_objects(self) -> list[tuple[Any, str]]:
        return [thing for v in self.velocities for thing in v.user_objects()]

    def get_config(self) -> Config:
        serialize = keras.saving.serialize_keras_object
        return {
            "velocities": [serialize(v) for v in self.velocities],
            "weights": list(self.weights),
        }

    def __repr__(self) -> str:
        return " + ".join(
            f"{w:g} * {v!r}" for w, v in zip(self.weights, self.velocities)
        )
