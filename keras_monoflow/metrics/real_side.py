"""What a metric remembers of the real samples between calls."""

import weakref
import zlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_monoflow.typing import Array, ArrayLike

# Bytes that are summed at a time, so that strided arrays are not copied whole.
_CHUNK = 2**24


def checksum(array: Array) -> int:
    """Returns a number that changes with the values, dtype or shape.

    Args:
        array: NumPy array of any shape.

    Returns:
        An integer, the CRC-32 of the bytes.
    """
    total = zlib.crc32(repr((array.shape, str(array.dtype))).encode())
    rows = array.reshape(1) if array.ndim == 0 else array
    step = max(1, _CHUNK * len(rows) // max(1, rows.nbytes))
    for start in range(0, len(rows), step):
        chunk = np.ascontiguousarray(rows[start : start + step])
        total = zlib.crc32(chunk.reshape(-1).view("uint8").data, total)
    return total


def weights_checksum(network: Any) -> int:
    """Returns a number that changes with any weight of a Keras layer."""
    total = 0
    for weight in network.weights:
        value = np.asarray(keras.ops.convert_to_numpy(weight))
        total = zlib.crc32(checksum(value).to_bytes(4, "little"), total)
    return total


class RealSide:
    """Remembers one value for one array of real samples.

    The array itself is not kept alive: it is known by a weak reference, and by
    a checksum in case that it was changed in place. Copies and pickles of a
    metric start with nothing remembered.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drops the value."""
        self._source: weakref.ref[Any] | None = None
        self._key: Any = None
        self._value: Any = None

    def get(self, source: ArrayLike, key: Any, make: Callable[[], Any]) -> Any:
        """Returns the value for `source`, made by `make()` if it is not known.

        Args:
            source: The array or tensor as the user passed it.
            key: What else the value depends on; compared by `==`.
            make: Function without arguments.
        """
        known = self._source is not None and self._source() is source
        if known and self._key == key:
            return self._value
        self.forget()
        value = make()
        try:
            self._source = weakref.ref(source)
        except TypeError:
            # A list, say: it cannot be known again.
            return value
        self._key, self._value = key, value
        return value

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return type(self), ()
