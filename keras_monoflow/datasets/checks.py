"""Checks of the arguments that the data sets share."""

import math


def check_length(name, value):
    """Return `value`, a length in data units that is finite and not below 0."""
    try:
        length = float(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"`{name}` must be a number. Received: {name}={value!r}"
        ) from None
    if not 0.0 <= length < math.inf:
        raise ValueError(
            f"`{name}` must be finite and at least 0. "
            f"Received: {name}={value!r}"
        )
    return length
