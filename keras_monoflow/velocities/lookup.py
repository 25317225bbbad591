"""Velocities by name, and their configurations."""

from typing import Any

import keras

from keras_monoflow.registry import VELOCITIES
from keras_monoflow.velocities.velocity import Velocity


def get(velocity: Any) -> Velocity:
    """Returns a `Velocity`.

    Args:
        velocity: A name (`"sinkhorn"`), a `Velocity`, or the configuration
            that `keras.saving.serialize_keras_object` gives.

    Raises:
        TypeError: If it is none of these.
        ValueError: If a name is unknown (the message lists the known ones).
    """
    if isinstance(velocity, dict):
        velocity = keras.saving.deserialize_keras_object(velocity)
    if isinstance(velocity, Velocity):
        return velocity
    if isinstance(velocity, str):
        return VELOCITIES.make(velocity)
    raise TypeError(
        "`velocity` must be a name such as 'sinkhorn' or a "
        "`keras_monoflow.velocities.Velocity` such as Sinkhorn(epsilon=0.05). "
        f"Received: velocity={velocity!r}."
    )
