"""Discriminators with several outputs: patches, scales, heads.

An output of the shape `(batch, ..., 1)` has an *entry* for each patch that it
looks at. A list or dictionary of outputs has several *heads*.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_monoflow.arguments import check_number
from keras_monoflow.numerics import at_least_float32
from keras_monoflow.potentials import Potential
from keras_monoflow.shapes import flatten_shapes
from keras_monoflow.typing import Config, Tensor


class EntrywisePotential(Potential):
    """A potential of outputs with any number of entries and heads.

    The discriminator minimizes `sum_k w_k objective(D_k)`, the objective over
    all entries of all samples. Samples climb

        V(x) = sum_k w_k mean_i V(D_ki(x)),

    the mean over the entries `i` of a head, and the log ratio is that of `V`
    divided by `sum_k w_k`: of each patch the ratio of its receptive field.

    Args:
        potential: A `Potential` of one number for each sample.
        weights: One positive float `w_k` for each head.
        argument: What `compile` was given for them, a list, dictionary or
            `None`.
    """

    def __init__(
        self, potential: Potential, weights: Sequence[float], argument: Any
    ) -> None:
        self.potential, self.weights = potential, weights
        self.argument = argument
        self.log_names = potential.log_names
        self.estimates_ratio = potential.estimates_ratio
        self.needs_lipschitz = potential.needs_lipschitz
        self.needs_reference = potential.needs_reference
        self.needs_real_output = potential.needs_real_output
        self.whole_batch_part = potential.whole_batch_part

    @property
    def mapping(self) -> Any:
        return getattr(self.potential, "mapping", None)

    @property
    def loss(self) -> Any:
        return getattr(self.potential, "loss", None)

    def objective(
        self,
        real_output: Any,
        fake_output: Any,
        real: Tensor,
        generated: Tensor,
        **weights: Tensor,
    ) -> Tensor:
        def of_head(on_real: Tensor, on_fake: Tensor, **weights: Any) -> Tensor:
            return self.potential.objective(
                on_real, on_fake, real, generated, **weights
            )

        return self._over_heads(of_head, real_output, fake_output, **weights)

    def value(
        self,
        output: Any,
        reference_output: Any = None,
        real_output: Any = None,
    ) -> Tensor:
        known = {
            "reference_output": reference_output,
            "real_output": real_output,
        }
        known = {k: v for k, v in known.items() if v is not None}

        def of_head(entries: Tensor, *others: Tensor) -> Tensor:
            return self.potential.value(entries, **dict(zip(known, others)))

        return self._per_sample(of_head, output, *known.values())

    def log_ratio(self, output: Any, reference_output: Any = None) -> Tensor:
        others = () if reference_output is None else (reference_output,)
        ratios = self._per_sample(self.potential.log_ratio, output, *others)
        return ratios / sum(self.weights)

    def logs(
        self, real_output: Any, fake_output: Any, **weights: Tensor
    ) -> dict[str, Tensor]:
        def of_head(name: str) -> Callable[..., Tensor]:
            return lambda *outputs, **weights: self.potential.logs(
                *outputs, **weights
            )[name]

        outputs = real_output, fake_output
        return {
            name: self._over_heads(of_head(name), *outputs, **weights)
            / sum(self.weights)
            for name in self.log_names
        }

    def weights_refused(self, for_both: bool) -> str | None:
        return self.potential.weights_refused(for_both)

    def _over_heads(
        self,
        function: Callable[..., Tensor],
        *outputs: Any,
        **weights: Tensor,
    ) -> Tensor:
        """Returns `sum_k w_k function(entries)`, of all entries `(n,)` of head
        `k` in each of the outputs; with weights of samples, those of entries.
        """
        heads = zip(*map(keras.tree.flatten, outputs))
        return sum(
            w
            * function(
                *(ops.reshape(entries, (-1,)) for entries in head),
                **{k: _of_entries(v, head[0]) for k, v in weights.items()},
            )
            for w, head in zip(self.weights, heads)
        )

    def _per_sample(
        self, function: Callable[..., Tensor], output: Any, *others: Any
    ) -> Tensor:
        """As `_over_heads` for a function with a value for each entry of the
        first output; its means over the entries of a sample, `(batch,)`."""
        size = ops.shape(keras.tree.flatten(output)[0])[0]

        def means(*entries: Tensor) -> Tensor:
            values = ops.reshape(function(*entries), (size, -1))
            return ops.mean(values, axis=1)

        return self._over_heads(means, output, *others)

    def arguments(self) -> Config:
        given = {} if self.argument is None else {"head_weights": self.argument}
        return {**self.potential.arguments(), **given}

    def user_objects(self) -> list[tuple[Any, str]]:
        return self.potential.user_objects()


def _of_entries(weight: Tensor, entries: Tensor) -> Tensor:
    """Returns for each entry the weight of its sample, `(entries,)`."""
    shape = (-1,) + (1,) * (len(entries.shape) - 1)
    ones = ops.cast(ops.ones_like(entries), weight.dtype)
    return ops.reshape(ops.reshape(weight, shape) * ones, (-1,))


def for_outputs(potential: Potential, shapes: Any, head_weights: Any) -> Any:
    """Returns a potential of outputs of these shapes.

    Args:
        potential: A `Potential` of one number for each sample.
        shapes: The output shape of the discriminator, or a list or dictionary
            of them.
        head_weights: A list or dictionary of positive floats, or `None` for
            weights of 1.

    Raises:
        ValueError: If the weights do not fit the outputs.
        TypeError: If one is not a number.
    """
    heads = flatten_shapes(shapes)
    if head_weights is None and has_one_number(shapes):
        return potential
    weights = [1.0] * len(heads)
    if head_weights is not None:
        weights = _check_weights(head_weights, shapes, len(heads))
    return EntrywisePotential(potential, weights, head_weights)


def has_one_number(shapes: Any) -> bool:
    """Returns whether an output has one number for each sample."""
    return isinstance(shapes, tuple) and shapes[1:] in ((), (1,))


def _check_weights(weights: Any, shapes: Any, heads: int) -> list[float]:
    names = sorted(shapes) if isinstance(shapes, dict) else None
    if names is not None and isinstance(weights, dict):
        fits = sorted(weights) == names
        values = [weights[name] for name in names] if fits else []
    else:
        fits = isinstance(weights, (list, tuple)) and names is None
        values = list(weights) if fits else []
    if not fits or len(values) != heads:
        wanted = names or f"a list of {heads}"
        raise ValueError(
            "`head_weights` must have one positive number for each output of "
            f"the discriminator: {wanted}. Received: head_weights={weights!r}."
        )
    return [check_number("head_weights", w, above=0) for w in values]


def total(output: Any) -> Tensor:
    """Returns the sum of all entries of all heads, `(batch,)`.

    One number for each sample stays as it is.
    """
    heads = keras.tree.flatten(output)
    if len(heads) == 1 and len(heads[0].shape) <= 2:
        return heads[0]
    return sum(
        ops.sum(ops.reshape(at_least_float32(h), (ops.shape(h)[0], -1)), axis=1)
        for h in heads
    )
