"""A velocity from samples, in the space in which they move."""

from typing import Any

from keras import ops

from keras_monoflow.models.space import SampleSpace
from keras_monoflow.typing import Tensor
from keras_monoflow.velocities import Velocity


def velocity_in_space(
    velocity: Velocity,
    space: SampleSpace,
    y: Tensor,
    real: Tensor,
    other: Tensor | None,
    **arguments: Any,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Returns what positions `y` move by, and the mean logs over all maps.

    Args:
        velocity: What to ask.
        space: Where the positions are.
        y: Positions of generated samples.
        real: Those of real ones.
        other: Those of a second generated batch, or `None`.
        **arguments: Further arguments of `velocity`.
    """
    others = [None] if other is None else space.maps(other)
    others = others * len(space.maps(y)) if other is None else others
    seed = arguments.get("seed")
    parts = [
        velocity.with_logs(velocity.pairs(*rows, **arguments), seed)
        for rows in zip(space.maps(y), space.maps(real), others)
    ]
    logs = {
        name: sum(log[name] for _, log in parts) / len(parts)
        for name in velocity.log_names
    }
    moved = space.join([moved for moved, _ in parts])
    return ops.reshape(moved, ops.shape(y)), logs
