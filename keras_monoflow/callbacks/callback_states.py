"""What callbacks remember from epoch to epoch, as a backup holds it."""

from collections.abc import Iterator, Sequence
from typing import Any

import h5py
import keras
import numpy as np

_GROUP = "kmf_callbacks"

#: What those of Keras remember.
_REMEMBERED = {
    keras.callbacks.EarlyStopping: (
        "best",
        "best_epoch",
        "best_weights",
        "stopped_epoch",
        "wait",
    ),
    keras.callbacks.ModelCheckpoint: ("best",),
    keras.callbacks.ReduceLROnPlateau: ("best", "cooldown_counter", "wait"),
    keras.callbacks.SwapEMAWeights: ("_ema_weights_in_model",),
}


def write_states(callbacks: Sequence[Any], file: h5py.File) -> None:
    """Writes what callbacks remember into a backup.

    A callback of another class names its attributes in `remembers`: numbers,
    strings, arrays, or lists of arrays. What is `None` is left out.
    """
    for group, callback, names in _with_memory(callbacks):
        for name in names:
            value = getattr(callback, name, None)
            if isinstance(value, (list, tuple)):
                for i, array in enumerate(value):
                    file[f"{group}/{name}/{i:06d}"] = _storable(array)
            elif value is not None:
                file[f"{group}/{name}"] = _storable(value)


def read_states(callbacks: Sequence[Any], file: h5py.File) -> None:
    """Gives callbacks back what they remembered when a backup was written.

    Those that were not there then are left as they are.
    """
    for group, callback, names in _with_memory(callbacks):
        for name in names:
            found = file.get(f"{group}/{name}")
            if isinstance(found, h5py.Group):
                setattr(callback, name, [found[key][()] for key in found])
            elif found is not None:
                setattr(callback, name, _plain(found[()]))


def have_ended(callbacks: Sequence[Any], epochs: int) -> bool:
    """Returns whether an `EarlyStopping` has ended a run of some epochs."""
    return epochs > 1 and any(
        isinstance(callback, keras.callbacks.EarlyStopping)
        and callback.wait >= max(callback.patience, 1)
        for callback in callbacks
    )


def _with_memory(
    callbacks: Sequence[Any],
) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """The place in a file of each callback that remembers something, and the
    names of what it remembers. Those of one class are numbered."""
    counts: dict[str, int] = {}
    for callback in callbacks:
        names = tuple(getattr(callback, "remembers", ()))
        for kind, known in _REMEMBERED.items():
            names += known if isinstance(callback, kind) else ()
        names = tuple(dict.fromkeys(names))
        if names:
            name = type(callback).__name__
            counts[name] = counts.get(name, -1) + 1
            yield f"{_GROUP}/{name}_{counts[name]}", callback, names


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return value if value.ndim else value.item()


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value
    array = np.asarray(keras.ops.convert_to_numpy(value))
    # (HDF5 knows no bfloat16.)
    return array if array.dtype.kind in "biuf" else array.astype("float32")
