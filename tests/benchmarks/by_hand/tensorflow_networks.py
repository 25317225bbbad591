"""The networks of the package in plain TensorFlow: `(weights, statistics, x)`.

They return outputs and new batch statistics, always in training mode. Weights
are lists in the order of the Keras models.
"""

import functools

import tensorflow as tf

SLOPE, MOMENTUM, EPSILON = 0.2, 0.9, 1e-5


def mlp(weights, statistics, x):
    weights = [tf.cast(w, x.dtype) for w in weights]
    layers = list(zip(weights[::2], weights[1::2]))
    for kernel, bias in layers[:-1]:
        x = tf.nn.leaky_relu(tf.nn.bias_add(x @ kernel, bias), SLOPE)
    kernel, bias = layers[-1]
    return tf.nn.bias_add(x @ kernel, bias), []


class _Running:
    """Hands out weights and batch statistics, and collects new statistics."""

    def __init__(self, weights, statistics):
        self.weights, self.statistics = iter(weights), iter(statistics)
        self.new = []

    def weight(self, x):
        return tf.cast(next(self.weights), x.dtype)

    def convolve(self, x, stride=1, bias=False):
        x = tf.nn.conv2d(x, self.weight(x), stride, "SAME")
        return tf.nn.bias_add(x, self.weight(x)) if bias else x

    def convolve_transposed(self, x):
        n, height, width, _ = x.shape
        kernel = self.weight(x)
        shape = (n, 2 * height, 2 * width, kernel.shape[2])
        return tf.nn.conv2d_transpose(x, kernel, shape, 2, "SAME")

    def dense(self, x, bias=True):
        x = x @ self.weight(x)
        return tf.nn.bias_add(x, self.weight(x)) if bias else x

    def normalize(self, x):
        scale, shift = next(self.weights), next(self.weights)
        x, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            x, scale, shift, epsilon=EPSILON, is_training=True
        )
        # The kernel returns the unbiased variance.
        n = x.shape[0] * x.shape[1] * x.shape[2]
        for now in (mean, variance * ((n - 1) / n)):
            old = next(self.statistics)
            self.new.append(MOMENTUM * old + (1 - MOMENTUM) * now)
        return x


class _Elementary(_Running):
    """Batch norm as Keras computes it, from elementary operations."""

    def normalize(self, x):
        scale, shift = next(self.weights), next(self.weights)
        mean, variance = tf.nn.moments(x, (0, 1, 2))
        for now in (mean, variance):
            old = next(self.statistics)
            self.new.append(MOMENTUM * old + (1 - MOMENTUM) * now)
        return tf.nn.batch_normalization(
            x, mean, variance, shift, scale, EPSILON
        )


def dcgan_generator(weights, statistics, z, running=_Running):
    run = running(weights, statistics)
    maps = weights[1].shape[0]
    x = run.dense(z, bias=False)
    side = round((x.shape[-1] / maps) ** 0.5)
    x = tf.reshape(x, (-1, side, side, maps))
    for _ in range(len(statistics) // 2):
        x = run.convolve_transposed(tf.nn.relu(run.normalize(x)))
    return tf.tanh(x), run.new


def dcgan_discriminator(weights, statistics, x, running=_Running):
    run = running(weights, statistics)
    x = tf.nn.leaky_relu(run.convolve(x, 2), SLOPE)
    for _ in range(len(statistics) // 2):
        x = tf.nn.leaky_relu(run.normalize(run.convolve(x, 2)), SLOPE)
    return run.dense(tf.reshape(x, (x.shape[0], -1)), bias=False), run.new


def resnet_generator(weights, statistics, z):
    run = _Running(weights, statistics)
    maps = weights[2].shape[0]
    x = run.dense(z)
    side = round((x.shape[-1] / maps) ** 0.5)
    x = tf.reshape(x, (-1, side, side, maps))
    for _ in range(len(statistics) // 4):
        h = _double(tf.nn.relu(run.normalize(x)))
        h = tf.nn.relu(run.normalize(run.convolve(h)))
        shortcut = _double(run.convolve(x))
        x = run.convolve(h) + shortcut
    x = tf.nn.relu(run.normalize(x))
    return tf.tanh(run.convolve(x, bias=True)), run.new


def resnet_discriminator(weights, statistics, x):
    run = _Running(weights, statistics)
    h = tf.nn.relu(run.convolve(x, bias=True))
    h = _halve(run.convolve(h, bias=True))
    x = h + run.convolve(_halve(x))
    for halve in (True, False, False):
        h = tf.nn.relu(run.convolve(tf.nn.relu(x), bias=True))
        h = run.convolve(h, bias=True)
        x = _halve(h) + run.convolve(_halve(x)) if halve else h + x
    return run.dense(tf.reduce_mean(tf.nn.relu(x), (1, 2))), []


def _double(x):
    return tf.repeat(tf.repeat(x, 2, 1), 2, 2)


def _halve(x):
    return tf.nn.avg_pool2d(x, 2, 2, "SAME")


NETWORKS = {
    "mlp": (mlp, mlp),
    "dcgan": (dcgan_generator, dcgan_discriminator),
    "dcgan_elementary": tuple(
        functools.partial(network, running=_Elementary)
        for network in (dcgan_generator, dcgan_discriminator)
    ),
    "resnet": (resnet_generator, resnet_discriminator),
}


def networks_of(recipe):
    """Generator and discriminator, which return float32."""

    def in_precision(network):
        def run(weights, statistics, x):
            x = tf.cast(x, recipe.precision)
            outputs, statistics = network(weights, statistics, x)
            return tf.cast(outputs, "float32"), statistics

        return run

    return [in_precision(network) for network in NETWORKS[recipe.networks]]
