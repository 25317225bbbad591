"""The part of the search space that all flows share."""

from typing import Any

import keras
import keras_tuner

from keras_monoflow.registry import PENALTIES
from keras_monoflow.tuning.search_space import SearchSpace, none_of


def default_entries(role: str) -> dict[str, Any]:
    """Returns the entries by name.

    Args:
        role: What the model calls its discriminator or critic.
    """
    return {
        "optimizer": "adam",
        "generator_learning_rate": lambda hp: hp.Float(
            "generator_learning_rate", 5e-5, 5e-3, sampling="log"
        ),
        f"{role}_learning_rate": lambda hp: hp.Float(
            f"{role}_learning_rate", 5e-5, 5e-3, sampling="log"
        ),
        "beta_1": [0.0, 0.5, 0.9],
        "penalty_every": [1, 16],
        f"{role}_steps": [1, 2, 5],
        "persistency": [1, 3, 5],
        "step_size": lambda hp: hp.Float(
            "step_size", 0.01, 1.0, sampling="log"
        ),
        "update": ["persistent", "proximal"],
        "ema": [0.0, 0.99, 0.999],
    }


def compile_arguments(space: SearchSpace, hp: Any, role: str) -> dict[str, Any]:
    """Declares these entries and returns arguments of `compile`."""
    arguments = {
        **optimizers(space, hp, ("generator", role)),
        f"{role}_steps": space.value(hp, f"{role}_steps"),
        "persistency": space.value(hp, "persistency"),
        "penalty": _penalty(space, hp),
        "ema": none_of(space.value(hp, "ema")) or None,
    }
    for name in ("step_size", "update"):
        value = space.value_if(
            hp,
            name,
            "persistency",
            arguments["persistency"],
            lambda steps: steps > 1,
        )
        if value is not None:
            arguments[name] = value
    return arguments


def optimizers(
    space: SearchSpace, hp: Any, roles: tuple[str, ...]
) -> dict[str, Any]:
    """Declares the optimizers of networks and returns them by argument, unless
    `space` has functions that make them."""
    roles = tuple(r for r in roles if f"{r}_optimizer" not in space)
    if not roles:
        return {}
    name = space.value(hp, "optimizer")
    beta_1 = space.value_if(
        hp, "beta_1", "optimizer", name, lambda name: name == "adam"
    )
    made = {}
    for r in roles:
        config = {"learning_rate": space.value(hp, f"{r}_learning_rate")}
        if beta_1 is not None:
            config["beta_1"] = beta_1
        made[f"{r}_optimizer"] = keras.optimizers.deserialize(
            {"class_name": name, "config": config}
        )
    return made


def _penalty(space, hp):
    name = space.value(hp, "penalty")
    if not isinstance(name, str):
        return name  # a `Penalty` or `None`, as a constant
    weight, every = (
        space.value_if(hp, entry, "penalty", name, lambda name: name != "none")
        for entry in ("penalty_weight", "penalty_every")
    )
    if name == "none":
        return None
    try:
        makers = [PENALTIES.maker(part) for part in name.split("+")]
    except ValueError as error:
        raise keras_tuner.errors.FatalValueError(
            f"{error} So are 'none', and sums such as 'r1+r2'."
        ) from error
    return [make(weight, every=every) for make in makers]
