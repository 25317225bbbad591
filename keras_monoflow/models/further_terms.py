"""The further terms of a generator's loss, in one round."""

import functools
from typing import Any

from keras import ops

from keras_monoflow import gradients
from keras_monoflow.backend import replicas
from keras_monoflow.numerics import at_least_float32, one_number
from keras_monoflow.terms import GeneratorTerm
from keras_monoflow.typing import Tensor


class FurtherTerms:
    """`sum_k w_k term_k(G(z))`, added to the loss of the generator.

    Args:
        round: The `Round` of a model with `generator_terms`.
        batch: The real `Batch` that the samples are compared with.
        training: Whether the discriminator's layers run in training mode.
    """

    def __init__(self, round: Any, batch: Any, training: bool = True) -> None:
        self.round, self.batch, self.training = round, batch, training
        self.terms: list[GeneratorTerm] = round.model.generator_terms
        self.weights: list[Any] = []

    def values(self, samples: Tensor) -> dict[str, Tensor]:
        """Returns the terms for the weight 1, by name."""
        return {t.name: self._value(t, samples) for t in self.terms}

    def gradient(
        self, samples: Tensor, flow: Tensor, has_flow: Any, counter: Any
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the gradient with respect to samples, and the values by name.

        Remembers the weights for `loss`.

        Args:
            samples: Generated samples.
            flow: The gradient of the flow's loss, which balanced terms follow.
            has_flow: Whether there is one in this round.
            counter: The number of the round.
        """
        samples = at_least_float32(samples)
        total = ops.zeros_like(samples)
        values = {}
        self.weights = []
        for term in self.terms:
            value, slope = gradients.value_and_input_gradient(
                functools.partial(self._value, term), samples
            )
            weight = term.weight_at(counter, samples.dtype)
            if term.is_balanced:
                weight = balanced(flow, slope, has_flow)
            self.weights.append(weight)
            total = total + weight * slope
            values[term.name] = value
        return total, values

    def loss(self, samples: Tensor) -> Tensor:
        """Returns their sum with the weights of `gradient`."""
        return sum(
            weight * self._value(term, samples)
            for term, weight in zip(self.terms, self.weights)
        )

    def _value(self, term, samples):
        model = self.round.model
        real = ops.cast(self.batch.samples, samples.dtype)
        if not term.takes_rows:
            samples, real = map(model.parts.split, (samples, real))
        condition = model.conditions.split(self.batch.labels)
        value = term.value(samples, real, condition, self._features)
        return at_least_float32(one_number(value, f"term {term.name!r}"))

    def _features(self, samples):
        run = gradients.discard_updates(self.round.hidden_layers)
        model = self.round.model
        rows = model.parts.join(samples)
        inputs = model.discriminator_inputs(rows, self.batch.labels)
        outputs = run(inputs, training=self.training)
        # (Keras takes one of a list of one out of it.)
        return outputs if isinstance(outputs, list) else [outputs]


def balanced(flow: Tensor, slope: Tensor, has_flow: Any) -> Tensor:
    """Returns `|flow| / (|slope| + 1e-4)`, at most 1e4; 1 without a flow."""
    squares = [ops.sum(at_least_float32(g) ** 2) for g in (flow, slope)]
    flow_norm, norm = map(ops.sqrt, replicas.mean(squares))
    weight = ops.minimum(flow_norm / (norm + 1e-4), 1e4)
    return ops.stop_gradient(ops.where(has_flow, weight, 1.0))
