"""Networks and one step of the optimizer that trains them."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_monoflow import gradients
from keras_monoflow.typing import Tensor


@dataclasses.dataclass(frozen=True)
class Generated:
    """Generated samples, and how they were made."""

    inputs: Any
    samples: Any
    #: What its layers added to the loss, or `None`.
    added_loss: Any
    pullback: Callable
    commit: Callable


@dataclasses.dataclass(frozen=True)
class Trained:
    """Networks and the optimizer that trains them."""

    networks: list
    optimizer: keras.optimizers.Optimizer

    @property
    def variables(self) -> list[keras.Variable]:
        return [v for n in self.networks for v in n.trainable_variables]

    def step(self, loss_fn: Callable[[], Tensor]) -> None:
        """One optimizer step down a loss and the regularization."""
        variables = self.variables
        _, grads = gradients.value_and_grad(
            lambda: self.optimizer.scale_loss(
                total(loss_fn(), regularization(variables))
            ),
            variables,
        )
        gradients.apply_gradients(self.optimizer, grads, variables)

    def step_along(self, generated: Generated, cotangent: Tensor) -> None:
        """One optimizer step that moves samples against a cotangent, and goes
        down what their network adds to the loss and the regularization."""
        variables, optimizer = self.variables, self.optimizer
        cotangent = ops.cast(
            optimizer.scale_loss(cotangent), generated.samples.dtype
        )
        if generated.added_loss is not None:
            one = optimizer.scale_loss(ops.ones((), "float32"))
            cotangent = [cotangent, one]
        grads = generated.pullback(cotangent)
        if any(v.regularizer is not None for v in variables):
            _, further = gradients.value_and_grad(
                lambda: optimizer.scale_loss(regularization(variables)),
                variables,
            )
            grads = [g + f for g, f in zip(grads, further)]
        gradients.apply_gradients(optimizer, grads, variables)


def total(loss: Tensor, added: Tensor | None) -> Tensor:
    """A loss, and what layers added to it if anything."""
    return loss if added is None else loss + ops.cast(added, loss.dtype)


def regularization(variables: list[keras.Variable]) -> Tensor:
    """The regularization losses of variables, a float32 scalar."""
    total = ops.zeros((), "float32")
    for v in variables:
        if v.regularizer is not None:
            total = total + ops.cast(v.regularizer(v.value), "float32")
    return total
