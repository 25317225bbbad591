"""Mappings by name, and their configurations."""

from typing import Any

import keras

from keras_monoflow.mappings.mapping import FunctionMapping, Mapping
from keras_monoflow.mappings.monotone import check_monotone
from keras_monoflow.mappings.relativistic import Relativistic
from keras_monoflow.registry import MAPPINGS
from keras_monoflow.typing import Config

#: What makes each mapping that has a name, by its canonical name.
NAMED = MAPPINGS.makers

#: Other names that the literature uses.
ALIASES = MAPPINGS.aliases


def get(mapping: Any) -> Any:
    """Returns a `Mapping`.

    Args:
        mapping: A name or alias (`"non_saturating"`), a `Mapping`, the
            configuration that `serialize` gives, or a function of a tensor.

    Raises:
        ValueError: If a name is unknown (the message lists the known ones), or
            a function is not strictly increasing.
        TypeError: If it is none of these.
    """
    if isinstance(mapping, dict):
        mapping = deserialize(mapping)
    if isinstance(mapping, Mapping):
        return mapping
    if isinstance(mapping, str):
        return MAPPINGS.make(mapping, relativistic=Relativistic)
    if isinstance(mapping, type) or not callable(mapping):
        raise TypeError(
            "`mapping` must be a name, a `keras_monoflow.mappings.Mapping` or "
            "a function of the log density ratio. Received: "
            f"mapping={mapping!r}."
        )
    mapping = FunctionMapping(mapping)
    check_monotone(mapping)
    return mapping


def serialize(mapping: Any) -> Any:
    """Returns the configuration of a mapping, as Keras objects have it."""
    return keras.saving.serialize_keras_object(mapping)


def deserialize(config: Config) -> Any:
    """Returns the mapping that `serialize` made `config` from."""
    return keras.saving.deserialize_keras_object(config)
