"""Penalties by name, and their configurations."""

from typing import Any

import keras

from keras_monoflow.penalties.weighted_term import WeightedTerm
from keras_monoflow.registry import PENALTIES


def get(penalty: Any) -> list[WeightedTerm]:
    """Returns a list of penalties.

    Args:
        penalty: A name such as `"r1"`, a `WeightedTerm`, its configuration, a
            list of these, or `None` for none.

    Raises:
        ValueError: If a name is unknown.
        TypeError: If an entry is none of these.
    """
    if penalty is None:
        return []
    entries = penalty if isinstance(penalty, (list, tuple)) else [penalty]
    return [_get_one(entry, penalty) for entry in entries]


def _get_one(entry: Any, penalty: Any) -> WeightedTerm:
    if isinstance(entry, str):
        return PENALTIES.make(entry)
    if isinstance(entry, dict):
        entry = keras.saving.deserialize_keras_object(entry)
    if isinstance(entry, WeightedTerm):
        return entry
    raise TypeError(
        "`penalty` must be a name such as 'r1', a "
        "`keras_monoflow.penalties.Penalty` such as R1(10.0), a list of them, "
        "or None. "
        f"Received: penalty={penalty!r}."
    )


def check_together(penalties: list[WeightedTerm]) -> None:
    """Checks that all that are not in every round are in the same ones.

    Raises:
        ValueError: If not.
    """
    intervals = sorted({p.every for p in penalties} - {1})
    if len(intervals) > 1:
        raise ValueError(
            "All penalties that are not in every round must be in the same "
            f"rounds. Received: every={intervals[0]} and "
            f"every={intervals[1]}."
        )
