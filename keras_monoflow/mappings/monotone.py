"""Checks that a function can be a mapping."""

from typing import Any

import numpy as np
from keras import ops

from keras_monoflow.mappings.mapping import FunctionMapping, Mapping
from keras_monoflow.typing import Array


def check_monotone(
    mapping: Any, low: float = -7.0, high: float = 7.0, points: int = 225
) -> None:
    """Checks on a grid that a mapping is strictly increasing.

    `h` must be finite and must not fall, and `h'` must be positive at
    every point. By default the grid ends at +-7: beyond, the slopes of some
    increasing functions round to zero in float32.

    Args:
        mapping: A `Mapping` or a function of a tensor.
        low: Lower end of the grid, in units of `u`.
        high: Upper end of the grid.
        points: Number of grid points.

    Raises:
        ValueError: If it is not; the message names the interval of `u`.
    """
    if not isinstance(mapping, Mapping):
        mapping = FunctionMapping(mapping)
    u = np.linspace(low, high, points, dtype="float32")
    h = ops.convert_to_numpy(mapping(u)).astype("float64")
    slope = ops.convert_to_numpy(mapping.derivative(u)).astype("float64")
    _check_elementwise(mapping, u, h)
    rounding = 4 * np.finfo("float32").eps * np.abs(h[1:])
    with np.errstate(invalid="ignore"):
        falls = ~(np.diff(h) >= -rounding)
        flat = ~(slope > 0) | ~np.isfinite(slope) | ~np.isfinite(h)
    bad = flat.copy()
    bad[:-1] |= falls
    bad[1:] |= falls
    if bad.any():
        first = int(np.argmax(bad))
        last = first + int(np.argmin(np.append(bad[first:], False))) - 1
        raise ValueError(
            f"`mapping` must be strictly increasing, but {mapping!r} is not on "
            f"{u[first]:g} <= u <= {u[last]:g}: its values run from "
            f"{h[first]:.4g} to {h[last]:.4g} and its slope falls to "
            f"{np.min(slope[first : last + 1]):.4g}. Samples with such a log "
            "density ratio would not move towards the data. If the function "
            "does increase there, its automatic derivative is wrong at a kink: "
            "define a `Mapping` with a `slope`."
        )


def _check_elementwise(mapping: Mapping, u: Array, h: Array) -> None:
    if h.shape != u.shape:
        raise ValueError(
            "A mapping must work elementwise. Received: "
            f"mapping={mapping!r}, which maps shape {u.shape} to {h.shape}."
        )
    # (Unlike all, these are not even around 0.)
    few = len(u) // 3
    alone = ops.convert_to_numpy(mapping(u[:few]))
    if not np.allclose(alone, h[:few], rtol=1e-4, equal_nan=True):
        raise ValueError(
            "A mapping must work elementwise. Received: "
            f"mapping={mapping!r}, whose value at one log density ratio "
            "depends on the others."
        )
