"""Mappings by name, and their configurations."""

import keras

from keras_monoflow import naming
from keras_monoflow.mappings.mapping import FunctionMapping, Mapping
from keras_monoflow.mappings.monotone import check_monotone
from keras_monoflow.mappings.named import (
    Alpha,
    Arcsinh,
    Identity,
    Jeffreys,
    LeastSquares,
    NonSaturating,
    Vanilla,
)

#: One mapping of every kind, by its canonical name.
NAMED = {
    "identity": Identity,
    "mle": lambda: Alpha(1.0),
    "pearson": lambda: Alpha(2.0),
    "hellinger": lambda: Alpha(0.5),
    "neyman": lambda: Alpha(-1.0),
    "vanilla": Vanilla,
    "non_saturating": NonSaturating,
    "arcsinh": Arcsinh,
    "jeffreys": Jeffreys,
    "least_squares": LeastSquares,
}

#: Other names that the literature uses.
ALIASES = {
    "logit": "identity",
    "reverse_kl": "identity",
    "kl": "mle",
    "gebm": "mle",
    "saturating": "vanilla",
    "jensen_shannon": "vanilla",
    "non_saturated": "non_saturating",
    "lsgan": "least_squares",
}


def get(mapping):
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
        table = {**NAMED, **{a: NAMED[n] for a, n in ALIASES.items()}}
        return naming.lookup(mapping, table, "mapping")()
    if isinstance(mapping, type) or not callable(mapping):
        raise TypeError(
            "`mapping` must be a name, a `keras_monoflow.mappings.Mapping` or "
            "a function of the log density ratio. Received: "
            f"mapping={mapping!r}."
        )
    mapping = FunctionMapping(mapping)
    check_monotone(mapping)
    return mapping


def serialize(mapping):
    """Returns the configuration of a mapping, as Keras objects have it."""
    return keras.saving.serialize_keras_object(mapping)


def deserialize(config):
    """Returns the mapping that `serialize` made `config` from."""
    return keras.saving.deserialize_keras_object(config)
