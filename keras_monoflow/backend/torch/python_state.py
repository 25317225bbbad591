"""What a recorded step took from Python, and would not see changing."""

import functools
from collections.abc import Iterator
from typing import Any

import keras
import torch

from keras_monoflow.backend.keras_internals import layers_of

_PLAIN = (bool, int, float, str)
_PARTS = (torch.nn.Module, keras.Optimizer, keras.losses.Loss)


class PythonState:
    """Notices changed attributes of what a step of a model runs.

    A recorded step knows nothing of Python: a layer that a callback freezes, or
    whose noise it turns down, would go on as it was. So the plain attributes
    (numbers, strings and booleans) of layers, optimizers, losses and penalties
    are compared before each step, which takes some ten microseconds. What
    stands in arrays or closures is not noticed.

    Args:
        model: A compiled `keras.Model`.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._noted: list[tuple[dict, str, Any]] = []

    def note(self) -> None:
        """Notes the attributes as they are."""
        of_all = _of_all_layers()
        self._noted = [
            (vars(part), name, value)
            for part in _parts(self._model)
            for name, value in vars(part).items()
            if isinstance(value, _PLAIN) and name not in of_all
        ]

    def has_changed(self) -> bool:
        """Returns whether an attribute is no longer what was noted."""
        for attributes, name, value in self._noted:
            present = attributes.get(name)
            if present is not value and present != value:
                return True
        return False


@functools.cache
def _of_all_layers() -> frozenset[str]:
    """What Keras keeps in every layer, but for whether it is frozen."""
    return frozenset(vars(keras.Layer())) - {"_trainable"}


def _parts(model: keras.Model) -> Iterator[Any]:
    """Everything in a model, but for itself, that its step may run."""
    seen = {id(model)}
    waiting: list[Any] = [
        *layers_of(model),
        *vars(model).values(),
        model.optimizer,
    ]
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, dict):
            waiting += thing.values()
        elif isinstance(thing, (list, tuple)):
            waiting += thing
        elif id(thing) not in seen and _is_part(thing):
            seen.add(id(thing))
            yield thing
            waiting += vars(thing).values()


def _is_part(thing: Any) -> bool:
    return isinstance(thing, _PARTS) or (
        hasattr(thing, "__dict__")
        and any(
            kind.__module__.startswith("keras_monoflow")
            for kind in type(thing).__mro__
        )
    )
