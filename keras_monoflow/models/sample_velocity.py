"""A velocity from samples, in the space in which they move."""

from typing import Any

from keras import ops

from keras_monoflow.backend import replicas
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
    parts = [
        velocity.with_logs(*rows, **arguments)
        for rows in zip(space.maps(y), space.maps(real), others)
    ]
    logs = {
        name: sum(log[name] for _, log in parts) / len(parts)
        for name in velocity.log_names
    }
    return space.join([moved for moved, _ in parts]), logs


def from_all_replicas(x: Tensor | None) -> Tensor | None:
    """Returns the rows of all replicas, one part after the other."""
    if x is None or replicas.count() == 1:
        return x
    rows = replicas.gather(x)
    return ops.reshape(rows, (-1, *x.shape[1:]))


def of_this_replica(x: Tensor, like: Tensor) -> Tensor:
    """Returns this replica's rows of those of all.

    Args:
        x: Rows of all replicas.
        like: A tensor with as many rows as this one has.
    """
    if replicas.count() == 1:
        return x
    n = ops.shape(like)[0]
    start = (replicas.index() * n,) + (0,) * (len(x.shape) - 1)
    return ops.slice(x, start, (n, *x.shape[1:]))
