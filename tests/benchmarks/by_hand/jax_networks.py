"""The networks of the package in plain JAX: `(weights, statistics, x)`.

They return outputs and new batch statistics, always in training mode. Weights
are lists in the order of the Keras models.
"""

import jax
import jax.numpy as jnp
from jax import lax

LAYOUT = ("NHWC", "HWIO", "NHWC")
SLOPE, MOMENTUM, EPSILON = 0.2, 0.9, 1e-5


def mlp(weights, statistics, x):
    layers = list(zip(weights[::2], weights[1::2]))
    layers = [(k.astype(x.dtype), b.astype(x.dtype)) for k, b in layers]
    for kernel, bias in layers[:-1]:
        x = jax.nn.leaky_relu(x @ kernel + bias, SLOPE)
    kernel, bias = layers[-1]
    return x @ kernel + bias, statistics


class _Running:
    """Hands out weights and batch statistics, and collects new statistics."""

    def __init__(self, weights, statistics):
        self.weights, self.statistics = iter(weights), iter(statistics)
        self.new = []

    def weight(self, x):
        return next(self.weights).astype(x.dtype)

    def convolve(self, x, stride=1, bias=False):
        strides = (stride, stride)
        x = lax.conv_general_dilated(
            x, self.weight(x), strides, "SAME", dimension_numbers=LAYOUT
        )
        return x + self.weight(x) if bias else x

    def convolve_transposed(self, x):
        return lax.conv_transpose(
            x,
            self.weight(x),
            (2, 2),
            "SAME",
            dimension_numbers=LAYOUT,
            transpose_kernel=True,
        )

    def dense(self, x, bias=True):
        x = x @ self.weight(x)
        return x + self.weight(x) if bias else x

    def normalize(self, x):
        dtype, x = x.dtype, x.astype("float32")
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        for old, now in zip(self.statistics_pair(), (mean, variance)):
            self.new.append(MOMENTUM * old + (1 - MOMENTUM) * now)
        scale, shift = next(self.weights), next(self.weights)
        scale = scale * lax.rsqrt(variance + EPSILON)
        return ((x - mean) * scale + shift).astype(dtype)

    def statistics_pair(self):
        return next(self.statistics), next(self.statistics)


def dcgan_generator(weights, statistics, z):
    run = _Running(weights, statistics)
    maps = weights[1].shape[0]
    x = run.dense(z, bias=False)
    side = round((x.shape[-1] / maps) ** 0.5)
    x = x.reshape(-1, side, side, maps)
    for _ in range(len(statistics) // 2):
        x = run.convolve_transposed(jax.nn.relu(run.normalize(x)))
    return jnp.tanh(x), run.new


def dcgan_discriminator(weights, statistics, x):
    run = _Running(weights, statistics)
    x = jax.nn.leaky_relu(run.convolve(x, 2), SLOPE)
    for _ in range(len(statistics) // 2):
        x = jax.nn.leaky_relu(run.normalize(run.convolve(x, 2)), SLOPE)
    return run.dense(x.reshape(len(x), -1), bias=False), run.new


def resnet_generator(weights, statistics, z):
    run = _Running(weights, statistics)
    maps = weights[2].shape[0]
    x = run.dense(z)
    side = round((x.shape[-1] / maps) ** 0.5)
    x = x.reshape(-1, side, side, maps)
    for _ in range(len(statistics) // 4):
        h = _double(jax.nn.relu(run.normalize(x)))
        h = jax.nn.relu(run.normalize(run.convolve(h)))
        shortcut = _double(run.convolve(x))
        x = run.convolve(h) + shortcut
    x = jax.nn.relu(run.normalize(x))
    return jnp.tanh(run.convolve(x, bias=True)), run.new


def resnet_discriminator(weights, statistics, x):
    run = _Running(weights, statistics)
    h = jax.nn.relu(run.convolve(x, bias=True))
    h = _halve(run.convolve(h, bias=True))
    x = h + run.convolve(_halve(x))
    for halve in (True, False, False):
        h = jax.nn.relu(run.convolve(jax.nn.relu(x), bias=True))
        h = run.convolve(h, bias=True)
        x = _halve(h) + run.convolve(_halve(x)) if halve else h + x
    return run.dense(jax.nn.relu(x).mean((1, 2))), statistics


def _double(x):
    # `jnp.repeat` would be a gather, whose gradient is slow.
    n, height, width, maps = x.shape
    shape = (n, height, 2, width, 2, maps)
    x = jnp.broadcast_to(x[:, :, None, :, None], shape)
    return x.reshape(n, 2 * height, 2 * width, maps)


def _halve(x):
    n, height, width, maps = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, maps).mean((2, 4))


NETWORKS = {
    "mlp": (mlp, mlp),
    "dcgan": (dcgan_generator, dcgan_discriminator),
    "resnet": (resnet_generator, resnet_discriminator),
}


def networks_of(recipe):
    """Generator and discriminator, which return float32."""

    def in_precision(network):
        def run(weights, statistics, x):
            x = x.astype(recipe.precision)
            outputs, statistics = network(weights, statistics, x)
            return outputs.astype("float32"), statistics

        return run

    return [in_precision(network) for network in NETWORKS[recipe.networks]]
