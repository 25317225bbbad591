"""Derivatives of gradients through layers that are linear in pieces."""

import keras
import numpy as np
import pytest
from helpers import slow_except
from keras import ops

from keras_monoflow import gradients

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="x64 is off on JAX by default"
)


def average(x, **options):
    return ops.average_pool(x, 2, data_format="channels_last", **options)


def cube(x):
    """Has a second derivative, which must not get lost."""
    return x + x**3 / 10


LAYERS = {
    "relu": lambda x: ops.relu(x),
    "leaky_relu": lambda x: ops.leaky_relu(x, 0.3),
    "relu6": lambda x: ops.relu6(4 * x),
    "relu_after_cube": lambda x: ops.relu(cube(x)),
    "cube_after_relu": lambda x: cube(ops.leaky_relu(x, 0.3)),
    "average": lambda x: cube(average(x)),
    "strided": lambda x: cube(average(x, strides=1)),
    "padded": lambda x: cube(average(ops.relu(x), strides=3, padding="same")),
    "relu_twice": lambda x: ops.relu(ops.leaky_relu(cube(x), 0.1) - 0.2),
    "max": lambda x: ops.max_pool(cube(x), 2, data_format="channels_last"),
}


def make_problem(layer):
    """Returns variables, and a loss of the gradient of a network."""
    rng = np.random.default_rng(3)
    first = keras.Variable(rng.normal(size=(4, 4 * 4 * 2)), dtype="float64")
    inputs = ops.convert_to_tensor(rng.normal(size=(5, 4)), "float64")
    # (`ops.mean` and `ops.matmul` are float32 on PyTorch.)

    def hidden(x):
        return layer(ops.reshape(x @ first.value, (-1, 4, 4, 2)))

    width = int(np.prod(hidden(inputs).shape[1:]))
    last = keras.Variable(rng.normal(size=(width, 1)), dtype="float64")

    def network(x):
        rows = ops.reshape(hidden(x), (-1, width))
        return cube(rows @ last.value / 5)

    def loss_fn():
        slope = gradients.input_gradient(network, inputs)
        return ops.sum(slope**2) + ops.sum(network(inputs))

    return [first, last], loss_fn


@pytest.mark.parametrize("name", slow_except(["relu_twice", "padded"], LAYERS))
def test_derivative_of_a_gradient_is_a_finite_difference(name):
    variables, loss_fn = make_problem(LAYERS[name])
    _, grads = gradients.value_and_grad(loss_fn, variables)
    for variable, grad in zip(variables, grads):
        value = np.array(ops.convert_to_numpy(variable.value))
        rng = np.random.default_rng(4)
        for _ in range(3):
            direction = rng.normal(size=value.shape)
            losses = []
            for sign in (1, -1):
                variable.assign(value + sign * 1e-6 * direction)
                losses.append(float(gradients.value_and_grad(loss_fn, [])[0]))
            variable.assign(value)
            slope = (losses[0] - losses[1]) / 2e-6
            expected = np.sum(direction * ops.convert_to_numpy(grad))
            np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-7)


def test_the_derivative_of_a_slope_alone_is_zero():
    x = ops.convert_to_tensor([[1.0, -2.0]])

    def slope(x):
        return gradients.input_gradient(lambda x: ops.leaky_relu(x, 0.1), x)

    np.testing.assert_allclose(ops.convert_to_numpy(slope(x)), [[1.0, 0.1]])
    second = gradients.input_gradient(slope, x)
    np.testing.assert_array_equal(ops.convert_to_numpy(second), [[0.0, 0.0]])


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="Tensors do not change."
)
def test_a_relu_in_place_stays_so():
    import torch

    def network(x):
        x = x + 0.0
        torch.nn.functional.relu(x, inplace=True)
        return x

    x = ops.convert_to_tensor([1.0, -2.0])
    slope = gradients.input_gradient(network, x)
    np.testing.assert_array_equal(ops.convert_to_numpy(slope), [1.0, 0.0])
