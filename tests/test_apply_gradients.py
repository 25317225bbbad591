import keras
import numpy as np
import pytest
from keras import ops
from keras.optimizers.schedules import ExponentialDecay

from keras_monoflow import gradients

#: On TensorFlow the update depends on how large a weight is.
SHAPES = [(), (3,), (40, 50), (260, 260)]
STEPS = 4


class HalfAdam(keras.optimizers.Adam):
    """A user's own rule, made from that of Adam."""

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate / 2)


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01, 0.5, 0.9),
    "epsilon": lambda: keras.optimizers.Adam(0.01, epsilon=0.1),
    "schedule": lambda: keras.optimizers.Adam(ExponentialDecay(0.01, 2, 0.5)),
    "clipnorm": lambda: keras.optimizers.Adam(0.01, clipnorm=0.5),
    "global_clipnorm": lambda: keras.optimizers.Adam(0.01, global_clipnorm=0.5),
    "average": lambda: keras.optimizers.Adam(
        0.01, use_ema=True, ema_momentum=0.5
    ),
    "accumulation": lambda: keras.optimizers.Adam(
        0.01, gradient_accumulation_steps=2
    ),
    "amsgrad": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "subclass": lambda: HalfAdam(0.01),
    "nadam": lambda: keras.optimizers.Nadam(0.01),
    "adamax": lambda: keras.optimizers.Adamax(0.01),
    "sgd": lambda: keras.optimizers.SGD(0.01, momentum=0.9),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(0.01), initial_scale=4.0
    ),
}


def compiled(function):
    """As training steps run."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)
    return function


def take_steps(optimizer, apply, dtype="float32"):
    rng = np.random.default_rng(0)
    variables = [
        keras.Variable(rng.normal(size=shape), dtype=dtype, name=f"w{i}")
        for i, shape in enumerate(SHAPES)
    ]
    optimizer.build(variables)
    step = compiled(lambda grads: apply(optimizer, grads, variables))
    for _ in range(STEPS):
        arrays = [rng.normal(size=shape) for shape in SHAPES]
        step([ops.convert_to_tensor(array, dtype) for array in arrays])
    values = [*variables, *optimizer.variables]
    return [
        ops.convert_to_numpy(ops.cast(v.value, "float32")).astype("float64")
        for v in values
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_updates_are_those_of_the_optimizer(name):
    if name == "scaled" and keras.backend.backend() == "jax":
        pytest.skip("On JAX, Keras's own `apply` leaks traced values.")
    ours = take_steps(OPTIMIZERS[name](), gradients.apply_gradients)
    kerases = take_steps(
        OPTIMIZERS[name](), lambda optimizer, *a: optimizer.apply(*a)
    )
    for our, their in zip(ours, kerases, strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-5, atol=1e-6)


def test_adam_against_numpy():
    rate, beta_1, beta_2, epsilon = 0.01, 0.5, 0.9, 1e-7
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=shape) for shape in SHAPES]
    m, v = ([np.zeros(shape) for shape in SHAPES] for _ in range(2))
    for t in range(1, STEPS + 1):
        for i, shape in enumerate(SHAPES):
            g = rng.normal(size=shape)
            m[i] = beta_1 * m[i] + (1 - beta_1) * g
            v[i] = beta_2 * v[i] + (1 - beta_2) * g**2
            alpha = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
            weights[i] = weights[i] - alpha * m[i] / (np.sqrt(v[i]) + epsilon)
    ours = take_steps(OPTIMIZERS["adam"](), gradients.apply_gradients)
    for our, expected in zip(ours, weights):
        np.testing.assert_allclose(our, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_weights_of_low_precision():
    ours, kerases = (
        take_steps(OPTIMIZERS["adam"](), apply, dtype="bfloat16")
        for apply in (gradients.apply_gradients, lambda o, *a: o.apply(*a))
    )
    for our, their in zip(ours, kerases, strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-2, atol=1e-3)


def test_the_optimizer_stays_as_it_was():
    optimizer = OPTIMIZERS["adam"]()
    take_steps(optimizer, gradients.apply_gradients)
    assert optimizer.update_step.__func__ is keras.optimizers.Adam.update_step
