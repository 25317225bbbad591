"""Mappings: the strictly increasing functions `h` of the log density ratio.

With `u = log(p_data / p_gen)`, samples move along `grad h(u)` and the generator
minimises `-E h(u)` (MonoFlow, arXiv 2302.01075). The *dual* `g`, with
`g'(u) = exp(-u) h'(u)`, makes `E_gen[h(u)] - E_data[g(u)]` a discriminator
objective whose minimiser is the log density ratio.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_monoflow.gradients import input_gradient
from keras_monoflow.naming import lookup
from keras_monoflow.numerics import (
    at_least_float32,
    continue_linearly,
    expm1,
    expm1_ratio,
    log1p_remainder,
    within,
)

register = keras.saving.register_keras_serializable("keras_monoflow")


class Mapping:
    """A strictly increasing function `h` of the log density ratio `u`.

    Subclasses define `h(u)` with `keras.ops`. They may define `slope(u)`, the
    derivative in closed form (automatic differentiation is used otherwise),
    and `dual(u)`.

    Calling the mapping, `derivative` and `dual` take a tensor of any shape and
    return one of the same shape, in float32 or the input's float64.

    Example:

    ```python
    import keras_monoflow as kmf
    from keras import ops

    class Cubic(kmf.mappings.Mapping):
        def h(self, u):
            return u + u**3

    kmf.mappings.check_monotone(Cubic())
    Cubic().derivative(ops.convert_to_tensor([0.0, 1.0]))  # [1, 4]
    ```
    """

    #: The function `g` with `g'(u) = exp(-u) h'(u)`, or `None` if unknown.
    dual = None

    def h(self, u):
        raise NotImplementedError(
            f"{type(self).__name__} must define `h(self, u)`."
        )

    def __call__(self, u):
        """Returns `h(u)`."""
        return self.h(at_least_float32(u))

    def slope(self, u):
        return input_gradient(self.h, u)

    def derivative(self, u):
        """Returns `h'(u)`, the speed of a sample along `grad u`."""
        return self.slope(at_least_float32(u))

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __repr__(self):
        arguments = ", ".join(
            f"{k}={v!r}" for k, v in self.get_config().items()
        )
        return f"{type(self).__name__}({arguments})"


@register
class Identity(Mapping):
    """`h(u) = u`, the flow of KL(q || p).

    All samples move at the speed `|grad u|`: it never vanishes. The dual
    `1 - exp(-u)` explodes for `u << 0`; a linear continuation would make the
    objective unbounded below where `p/q < exp(-L)`, so there is none.
    """

    def h(self, u):
        return u

    def slope(self, u):
        return ops.ones_like(u)

    def dual(self, u):
        return -expm1(-at_least_float32(u))


def _positive(value, argument, owner):
    if not value > 0 or not math.isfinite(value):
        raise ValueError(
            f"`{argument}` of {owner} must be a positive finite number. "
            f"Received: {argument}={value!r}."
        )
    return float(value)


# The largest float32 is exp(88.7): this leaves room for the tangent beyond.
_MAX_EXPONENT = 75.0
# exp(shift) meets exp(20) inside the gradient of torch's softplus.
_MAX_SHIFT = 60.0


@register
class Alpha(Mapping):
    """`h(u) = (exp(a u) - 1) / a`, the flows of the alpha-divergences.

    `a = 0` is the identity (KL(q || p)), `a = 1` maximum likelihood
    (KL(p || q)), `a = 2` Pearson, `a = 1/2` Hellinger, `a = -1` Neyman, each
    up to a positive factor. The dual is `(exp((a - 1) u) - 1) / (a - 1)`,
    which is `u` for `a = 1`.

    `h` explodes for `u > 0` (`a > 0`) or `u < 0` (`a < 0`). Beyond `limit` on
    that side it goes on as its tangent: a clip would stop the samples there.
    The dual follows, so that `g'(u) = exp(-u) h'(u)` holds everywhere.

    Args:
        alpha: Float `a`, with `|alpha| * limit <= 75` so that float32 holds
            `h`, and `(1 + |alpha|) * limit <= 75` if it is negative, so that
            float32 holds the dual.
        limit: Positive float, in units of `u`.
    """

    def __init__(self, alpha, limit=12.0):
        self.alpha = float(alpha)
        self.limit = _positive(limit, "limit", "Alpha")
        exponent, factor = abs(self.alpha), "|alpha|"
        if self.alpha < 0:
            exponent, factor = 1.0 - self.alpha, "(1 + |alpha|)"
        if not exponent * self.limit <= _MAX_EXPONENT:
            raise ValueError(
                f"`alpha` of Alpha must satisfy {factor} * limit <= "
                f"{_MAX_EXPONENT:g}, or exp overflows float32. Received: "
                f"alpha={alpha!r}, limit={limit!r}. Lower `limit`."
            )

    def _ends(self):
        lower = -self.limit if self.alpha < 0 else None
        upper = self.limit if self.alpha > 0 else None
        return {"lower": lower, "upper": upper}

    def h(self, u):
        return continue_linearly(
            lambda v: expm1_ratio(self.alpha, v),
            lambda end: math.exp(self.alpha * end),
            u,
            **self._ends(),
        )

    def slope(self, u):
        return ops.exp(self.alpha * within(u, **self._ends()))

    def dual(self, u):
        u = at_least_float32(u)
        return _dual_beyond(
            lambda v: expm1_ratio(self.alpha - 1.0, v),
            lambda end: math.exp(self.alpha * end),
            u,
            **self._ends(),
        )

    def get_config(self):
        return {"alpha": self.alpha, "limit": self.limit}


def _dual_beyond(dual, slope, u, lower, upper):
    """The dual of a mapping that is linear beyond `lower` or `upper`.

    There `g = g(L) + h'(L) (exp(-L) - exp(-u))`, from `g' = exp(-u) h'(L)`.
    """
    value = dual(within(u, lower, upper))
    if upper is not None:
        beyond = ops.where(u > upper, u - upper, 0.0)
        value = value - slope(upper) * math.exp(-upper) * expm1(-beyond)
    if lower is not None:
        beyond = ops.where(u < lower, u - lower, 0.0)
        value = value - slope(lower) * math.exp(-lower) * expm1(-beyond)
    return value


@register
class Vanilla(Mapping):
    """`h(u) = softplus(u + C)`, the flow of 2 JSD(p, q) at `C = 0`.

    The original ("saturating") GAN. `h'(u) = sigmoid(u + C)` vanishes for
    `u << -C`, where the discriminator tells samples from data with ease; a
    positive shift cures it (MonoFlow, section 5.2). The flow runs from
    KL(p || q), after rescaling, for `C -> -inf` to KL(q || p) for `C -> inf`.
    The dual is `-exp(C) softplus(-u - C)`.

    Args:
        shift: Float `C` within +-60.
    """

    def __init__(self, shift=0.0):
        self.shift = float(shift)
        if not abs(self.shift) <= _MAX_SHIFT:
            raise ValueError(
                f"`shift` of Vanilla must lie within +-{_MAX_SHIFT:g}, or "
                f"exp(shift) overflows float32. Received: shift={shift!r}."
            )

    def h(self, u):
        return ops.softplus(u + self.shift)

    def slope(self, u):
        return ops.sigmoid(u + self.shift)

    def dual(self, u):
        # exp(C) softplus(-v), v = u + C, is exp(-u) once exp(-v) is tiny; the
        # softplus would underflow.
        u = at_least_float32(u)
        v = within(u + self.shift, upper=40.0)
        near = math.exp(self.shift) * ops.softplus(-v)
        far = ops.exp(-within(u, lower=40.0 - self.shift))
        return -ops.where(u + self.shift > 40.0, far, near)

    def get_config(self):
        return {"shift": self.shift}


@register
class NonSaturating(Mapping):
    """`h(u) = -softplus(-u) = log sigmoid(u)`, the flow of 2 KL((p+q)/2 || p).

    The non-saturating GAN. `h'(u) = sigmoid(-u)` vanishes for `u >> 0` only,
    where samples have arrived. The dual is `softplus(-u) - exp(-u)`; it
    explodes for `u << 0` and is not continued, for the reason given in
    `Identity`.
    """

    def h(self, u):
        return -ops.softplus(-u)

    def slope(self, u):
        return ops.sigmoid(-u)

    def dual(self, u):
        # log(1 + t) - t with t = exp(-u).
        u = at_least_float32(u)
        near = log1p_remainder(ops.exp(-within(u, lower=0.0)), 1)
        far = within(u, upper=0.0)
        far = ops.softplus(-far) - ops.exp(-far)
        return ops.where(u > 0.0, near, far)


@register
class Arcsinh(Mapping):
    """`h(u) = arcsinh(u)`, with `h'(u) = 1 / sqrt(1 + u^2)`.

    The slope falls only like `1/|u|`: heavy-tailed, it never vanishes. The
    dual has no closed form.
    """

    def h(self, u):
        # Odd, so that u << 0 does not cancel in log(u + sqrt(1 + u^2)).
        # Not `abs`, whose gradient at 0 is 0.
        magnitude = ops.where(u < 0.0, -u, u)
        root = ops.sqrt(1.0 + magnitude**2)
        value = ops.log1p(magnitude + magnitude**2 / (1.0 + root))
        return ops.where(u < 0.0, -value, value)

    def slope(self, u):
        return 1.0 / ops.sqrt(1.0 + u**2)


@register
class Jeffreys(Mapping):
    """`h(u) = u + exp(u)`, the flow of KL(p || q) + KL(q || p).

    It never vanishes and explodes for `u > 0`; beyond `limit` it goes on as its
    tangent. The dual is `u - exp(-u)`.

    Args:
        limit: Positive float of at most 75, in units of `u`.
    """

    def __init__(self, limit=12.0):
        self.limit = _positive(limit, "limit", "Jeffreys")
        if self.limit > _MAX_EXPONENT:
            raise ValueError(
                f"`limit` of Jeffreys must be at most {_MAX_EXPONENT:g}, or "
                f"exp overflows float32. Received: limit={limit!r}."
            )

    def h(self, u):
        return continue_linearly(
            lambda v: v + ops.exp(v),
            lambda end: 1.0 + math.exp(end),
            u,
            upper=self.limit,
        )

    def slope(self, u):
        return 1.0 + ops.exp(within(u, upper=self.limit))

    def dual(self, u):
        return _dual_beyond(
            lambda v: v - ops.exp(-v),
            lambda end: 1.0 + math.exp(end),
            at_least_float32(u),
            lower=None,
            upper=self.limit,
        )

    def get_config(self):
        return {"limit": self.limit}


@register
class LeastSquares(Mapping):
    """`h(u) = -sigmoid(-u)^2`, the generator of LSGAN at the ideal output.

    `h'(u) = 2 sigmoid(u) sigmoid(-u)^2` vanishes on both sides. The dual is
    `s^2 + 2 s - 2 softplus(-u)` with `s = sigmoid(-u)`.
    """

    def h(self, u):
        # The gradient of the plain square cancels for u << 0.
        return -ops.exp(-2.0 * ops.softplus(u))

    def slope(self, u):
        return 2.0 * ops.sigmoid(u) * ops.sigmoid(-u) ** 2

    def dual(self, u):
        # softplus(-u) = -log(1 - s): what is left of the sum is the tail of
        # the logarithm from the third order on.
        u = at_least_float32(u)
        near = 2.0 * log1p_remainder(-ops.sigmoid(-within(u, lower=0.0)), 2)
        far = within(u, upper=0.0)
        s = ops.sigmoid(-far)
        far = s**2 + 2.0 * s - 2.0 * ops.softplus(-far)
        return ops.where(u > 0.0, near, far)


@register
class FunctionMapping(Mapping):
    """A user's function as a mapping, differentiated automatically.

    Args:
        function: A strictly increasing elementwise function of a tensor.
            Decorate it with `keras.saving.register_keras_serializable` to be
            able to save models that use it.
    """

    def __init__(self, function):
        self.function = function

    def h(self, u):
        return self.function(u)

    def get_config(self):
        return {"function": keras.saving.serialize_keras_object(self.function)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["function"]))

    def __repr__(self):
        return f"FunctionMapping({getattr(self.function, '__name__', '?')})"


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
        return lookup(mapping, table, "mapping")()
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


def check_monotone(mapping, low=-7.0, high=7.0, points=225):
    """Checks on a grid that a mapping is strictly increasing.

    `h` must be finite and must not fall, and `h'` must be positive at
    every point. By default the grid ends at +-7: beyond, the slopes of some
    increasing functions round to zero in float32.

    Args:
        mapping: A `Mapping` or a function of a tensor.
        low, high: Ends of the grid, in units of `u`.
        points: Number of grid points.

    Raises:
        ValueError: If it is not; the message names the interval of `u`.
    """
    if not isinstance(mapping, Mapping):
        mapping = FunctionMapping(mapping)
    u = np.linspace(low, high, points, dtype="float32")
    h = ops.convert_to_numpy(mapping(u)).astype("float64")
    slope = ops.convert_to_numpy(mapping.derivative(u)).astype("float64")
    if h.shape != u.shape:
        raise ValueError(
            "A mapping must work elementwise. Received: "
            f"mapping={mapping!r}, which maps shape {u.shape} to {h.shape}."
        )
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
            "density ratio would not move towards the data."
        )
