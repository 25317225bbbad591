"""The mappings that have names in the literature."""

import math
from collections.abc import Callable

from keras import ops

from keras_monoflow.arguments import check_number
from keras_monoflow.mappings.mapping import Mapping
from keras_monoflow.numerics import (
    at_least_float32,
    continue_linearly,
    expm1,
    expm1_ratio,
    log1p_remainder,
    within,
)
from keras_monoflow.registry import MAPPINGS
from keras_monoflow.typing import Config, Tensor


@MAPPINGS.register("identity", aliases=("logit", "reverse_kl"))
class Identity(Mapping):
    """`h(u) = u`, the flow of KL(q || p).

    All samples move at the speed `|grad u|`: it never vanishes. The dual
    `1 - exp(-u)` explodes for `u << 0`; a linear continuation would make the
    objective unbounded below where `p/q < exp(-L)`, so there is none.
    """

    def h(self, u: Tensor) -> Tensor:
        return u

    def slope(self, u: Tensor) -> Tensor:
        return ops.ones_like(u)

    def dual(self, u: Tensor) -> Tensor:
        return -expm1(-at_least_float32(u))


# The largest float32 is exp(88.7): this leaves room for the tangent beyond.
_MAX_EXPONENT = 75.0
# exp(shift) meets exp(20) inside the gradient of torch's softplus.
_MAX_SHIFT = 60.0


@MAPPINGS.register()
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

    Raises:
        TypeError, ValueError: If an argument is not a number, or out of
            range.
    """

    def __init__(self, alpha: float, limit: float = 12.0) -> None:
        self.alpha = check_number("alpha of Alpha", alpha)
        self.limit = check_number("limit of Alpha", limit, above=0)
        exponent, factor = abs(self.alpha), "|alpha|"
        if self.alpha < 0:
            exponent, factor = 1.0 - self.alpha, "(1 + |alpha|)"
        if not exponent * self.limit <= _MAX_EXPONENT:
            raise ValueError(
                f"`alpha` of Alpha must satisfy {factor} * limit <= "
                f"{_MAX_EXPONENT:g}, or exp overflows float32. Received: "
                f"alpha={alpha!r}, limit={limit!r}. Lower `limit`."
            )

    def _ends(self) -> dict[str, float | None]:
        lower = -self.limit if self.alpha < 0 else None
        upper = self.limit if self.alpha > 0 else None
        return {"lower": lower, "upper": upper}

    def h(self, u: Tensor) -> Tensor:
        return continue_linearly(
            lambda v: expm1_ratio(self.alpha, v),
            lambda end: math.exp(self.alpha * end),
            u,
            **self._ends(),
        )

    def slope(self, u: Tensor) -> Tensor:
        return ops.exp(self.alpha * within(u, **self._ends()))

    def dual(self, u: Tensor) -> Tensor:
        u = at_least_float32(u)
        return _dual_beyond(
            lambda v: expm1_ratio(self.alpha - 1.0, v),
            lambda end: math.exp(self.alpha * end),
            u,
            **self._ends(),
        )

    def get_config(self) -> Config:
        return {"alpha": self.alpha, "limit": self.limit}


MAPPINGS.add("mle", lambda: Alpha(1.0), aliases=("kl", "gebm"))
MAPPINGS.add("pearson", lambda: Alpha(2.0))
MAPPINGS.add("hellinger", lambda: Alpha(0.5))
MAPPINGS.add("neyman", lambda: Alpha(-1.0))


def _dual_beyond(
    dual: Callable[[Tensor], Tensor],
    slope: Callable[[float], float],
    u: Tensor,
    lower: float | None,
    upper: float | None,
) -> Tensor:
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


@MAPPINGS.register("vanilla", aliases=("saturating", "jensen_shannon"))
class Vanilla(Mapping):
    """`h(u) = softplus(u + C)`, the flow of 2 JSD(p, q) at `C = 0`.

    The original ("saturating") GAN. `h'(u) = sigmoid(u + C)` vanishes for
    `u << -C`, where the discriminator tells samples from data with ease; a
    positive shift cures it (MonoFlow, section 5.2). The flow runs from
    KL(p || q), after rescaling, for `C -> -inf` to KL(q || p) for `C -> inf`.
    The dual is `-exp(C) softplus(-u - C)`.

    Args:
        shift: Float `C` within +-60.

    Raises:
        TypeError, ValueError: If an argument is not a number, or out of
            range.
    """

    def __init__(self, shift: float = 0.0) -> None:
        self.shift = check_number(
            "shift of Vanilla",
            shift,
            minimum=-_MAX_SHIFT,
            maximum=_MAX_SHIFT,
            hint="Beyond, exp(shift) overflows float32.",
        )

    def h(self, u: Tensor) -> Tensor:
        return ops.softplus(u + self.shift)

    def slope(self, u: Tensor) -> Tensor:
        return ops.sigmoid(u + self.shift)

    def dual(self, u: Tensor) -> Tensor:
        # exp(C) softplus(-v), v = u + C, is exp(-u) once exp(-v) is tiny; the
        # softplus would underflow.
        u = at_least_float32(u)
        v = within(u + self.shift, upper=40.0)
        near = math.exp(self.shift) * ops.softplus(-v)
        far = ops.exp(-within(u, lower=40.0 - self.shift))
        return -ops.where(u + self.shift > 40.0, far, near)

    def get_config(self) -> Config:
        return {"shift": self.shift}


@MAPPINGS.register("non_saturating", aliases=("non_saturated",))
class NonSaturating(Mapping):
    """`h(u) = -softplus(-u) = log sigmoid(u)`, the flow of 2 KL((p+q)/2 || p).

    The non-saturating GAN. `h'(u) = sigmoid(-u)` vanishes for `u >> 0` only,
    where samples have arrived. The dual is `softplus(-u) - exp(-u)`; it
    explodes for `u << 0` and is not continued, for the reason given in
    `Identity`.
    """

    def h(self, u: Tensor) -> Tensor:
        return -ops.softplus(-u)

    def slope(self, u: Tensor) -> Tensor:
        return ops.sigmoid(-u)

    def dual(self, u: Tensor) -> Tensor:
        # log(1 + t) - t with t = exp(-u).
        u = at_least_float32(u)
        near = log1p_remainder(ops.exp(-within(u, lower=0.0)), 1)
        far = within(u, upper=0.0)
        far = ops.softplus(-far) - ops.exp(-far)
        return ops.where(u > 0.0, near, far)


@MAPPINGS.register("arcsinh")
class Arcsinh(Mapping):
    """`h(u) = arcsinh(u)`, with `h'(u) = 1 / sqrt(1 + u^2)`.

    The slope falls only like `1/|u|`: heavy-tailed, it never vanishes. The
    dual has no closed form.
    """

    def h(self, u: Tensor) -> Tensor:
        # Odd, so that u << 0 does not cancel in log(u + sqrt(1 + u^2)).
        # Not `abs`, whose gradient at 0 is 0.
        magnitude = ops.where(u < 0.0, -u, u)
        root = ops.sqrt(1.0 + magnitude**2)
        value = ops.log1p(magnitude + magnitude**2 / (1.0 + root))
        return ops.where(u < 0.0, -value, value)

    def slope(self, u: Tensor) -> Tensor:
        return 1.0 / ops.sqrt(1.0 + u**2)


@MAPPINGS.register("jeffreys")
class Jeffreys(Mapping):
    """`h(u) = u + exp(u)`, the flow of KL(p || q) + KL(q || p).

    It never vanishes and explodes for `u > 0`; beyond `limit` it goes on as its
    tangent. The dual is `u - exp(-u)`.

    Args:
        limit: Positive float of at most 75, in units of `u`.

    Raises:
        TypeError, ValueError: If an argument is not a number, or out of
            range.
    """

    def __init__(self, limit: float = 12.0) -> None:
        self.limit = check_number(
            "limit of Jeffreys",
            limit,
            above=0,
            maximum=_MAX_EXPONENT,
            hint="Beyond, exp overflows float32.",
        )

    def h(self, u: Tensor) -> Tensor:
        return continue_linearly(
            lambda v: v + ops.exp(v),
            lambda end: 1.0 + math.exp(end),
            u,
            upper=self.limit,
        )

    def slope(self, u: Tensor) -> Tensor:
        return 1.0 + ops.exp(within(u, upper=self.limit))

    def dual(self, u: Tensor) -> Tensor:
        return _dual_beyond(
            lambda v: v - ops.exp(-v),
            lambda end: 1.0 + math.exp(end),
            at_least_float32(u),
            lower=None,
            upper=self.limit,
        )

    def get_config(self) -> Config:
        return {"limit": self.limit}


@MAPPINGS.register("least_squares", aliases=("lsgan",))
class LeastSquares(Mapping):
    """`h(u) = -sigmoid(-u)^2`, the generator of LSGAN at the ideal output.

    `h'(u) = 2 sigmoid(u) sigmoid(-u)^2` vanishes on both sides. The dual is
    `s^2 + 2 s - 2 softplus(-u)` with `s = sigmoid(-u)`.
    """

    def h(self, u: Tensor) -> Tensor:
        # The gradient of the plain square cancels for u << 0.
        return -ops.exp(-2.0 * ops.softplus(u))

    def slope(self, u: Tensor) -> Tensor:
        return 2.0 * ops.sigmoid(u) * ops.sigmoid(-u) ** 2

    def dual(self, u: Tensor) -> Tensor:
        # softplus(-u) = -log(1 - s): what is left of the sum is the tail of
        # the logarithm from the third order on.
        u = at_least_float32(u)
        near = 2.0 * log1p_remainder(-ops.sigmoid(-within(u, lower=0.0)), 2)
        far = within(u, upper=0.0)
        s = ops.sigmoid(-far)
        far = s**2 + 2.0 * s - 2.0 * ops.softplus(-far)
        return ops.where(u > 0.0, near, far)
