"""Keras's Adam on TensorFlow, with fewer operations in the graph."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_monoflow.backend.keras_internals import adam_slots
from keras_monoflow.backend.warn_once import warn_once
from keras_monoflow.optimizers import without_loss_scaling
from keras_monoflow.typing import Tensor

#: Their update is that of Adam; weight decay comes before it.
_KINDS = (keras.optimizers.Adam, keras.optimizers.AdamW)

# TensorFlow's kernel of Adam on CPUs uses several threads from some thousand
# numbers on, which takes longer than the numbers themselves unless they are
# many.
_SMALL, _LARGE = 2**10, 2**16


@functools.cache
def _on_cpu() -> bool:
    """Whether the sizes above, and the gain, are those of this device."""
    return not tf.config.list_logical_devices(
        "GPU"
    ) and not tf.config.list_logical_devices("TPU")


@contextlib.contextmanager
def faster_update(optimizer: keras.Optimizer) -> Iterator[None]:
    """Inside, an Adam optimizer updates variables with fewer operations.

    Keras computes the bias correction anew for each variable, and the update
    from a dozen elementary operations, which on a CPU takes longer than the
    gradients of a small network. The formula stays the same, and other
    optimizers and devices are left alone.

    Args:
        optimizer: A built `keras.optimizers.Optimizer`, possibly a
            `LossScaleOptimizer`.
    """
    optimizer = without_loss_scaling(optimizer)
    is_adam = type(optimizer) in _KINDS and not optimizer.amsgrad
    slots = adam_slots(optimizer) if is_adam and _on_cpu() else None
    if slots is None:
        if is_adam and _on_cpu():
            warn_once(
                "Steps with Adam take longer for small networks",
                "keras.optimizers.Adam._momentums",
            )
        yield
        return
    optimizer.update_step = _Adam(optimizer, slots).update
    try:
        yield
    finally:
        # Under `tf.distribute` another replica may have been here.
        if "update_step" in vars(optimizer):
            del optimizer.update_step


class _Adam:
    """One step of Adam for all variables."""

    def __init__(self, optimizer: keras.Optimizer, slots: Callable) -> None:
        self.optimizer, self.slots = optimizer, slots
        self.betas = optimizer.beta_1, optimizer.beta_2
        # A replica must not use what another one has computed.
        once = not tf.distribute.has_strategy()
        self._scalars = self._compute_scalars() if once else None

    def _compute_scalars(self):
        """Returns the powers of both betas, and the bias correction."""
        step = keras.ops.cast(self.optimizer.iterations + 1, "float32")
        power_1, power_2 = (tf.pow(beta, step) for beta in self.betas)
        return power_1, power_2, tf.sqrt(1 - power_2) / (1 - power_1)

    def update(
        self, gradient: Tensor, variable: Any, learning_rate: Any
    ) -> None:
        """Stands in for `update_step` of Keras."""
        optimizer = self.optimizer
        if variable.dtype != tf.float32:
            kind = type(optimizer)
            kind.update_step(optimizer, gradient, variable, learning_rate)
            return
        m, v = self.slots(variable)
        gradient = tf.cast(gradient, tf.float32)
        learning_rate = tf.cast(learning_rate, tf.float32)
        size = variable.shape.num_elements()
        if _SMALL < size < _LARGE:
            self._elementwise(variable, m, v, gradient, learning_rate)
        else:
            self._kernel(variable, m, v, gradient, learning_rate)

    def _kernel(self, variable, m, v, gradient, learning_rate):
        power_1, power_2, _ = self._scalars or self._compute_scalars()
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=m.handle,
            v=v.handle,
            beta1_power=power_1,
            beta2_power=power_2,
            lr=learning_rate,
            beta1=self.betas[0],
            beta2=self.betas[1],
            epsilon=self.optimizer.epsilon,
            grad=gradient,
        )

    def _elementwise(self, variable, m, v, gradient, learning_rate):
        beta_1, beta_2 = self.betas
        _, _, correction = self._scalars or self._compute_scalars()
        m.assign_add((gradient - m) * (1 - beta_1))
        v.assign_add((tf.square(gradient) - v) * (1 - beta_2))
        rate = learning_rate * correction
        variable.assign_sub(rate * m / (tf.sqrt(v) + self.optimizer.epsilon))
