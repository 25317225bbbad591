"""Networks of one hidden layer and their training, in NumPy alone."""

import numpy as np


def run(weights, x):
    """A layer of tanh and a linear one, `[kernel, bias, kernel]` and maybe
    another bias."""
    hidden = np.tanh(x @ weights[0] + weights[1])
    return hidden @ weights[2] + sum(weights[3:])


def output(weights, x):
    """The one output of a discriminator, `(batch,)`."""
    return run(weights, x)[:, 0]


def input_gradient(weights, x):
    hidden = np.tanh(x @ weights[0] + weights[1])
    return ((1 - hidden**2) * weights[2][:, 0]) @ weights[0].T


def softplus(x):
    return np.logaddexp(0.0, x)


def gradients(loss, weights, eps=1e-6):
    """Central differences of a function of a list of arrays."""
    found = []
    for i, w in enumerate(weights):
        gradient = np.zeros_like(w)
        for index in np.ndindex(w.shape):
            values = []
            for sign in (1, -1):
                moved = [np.array(v) for v in weights]
                moved[i][index] += sign * eps
                values.append(loss(moved))
            gradient[index] = (values[0] - values[1]) / (2 * eps)
        found.append(gradient)
    return found


class SGD:
    """Plain steps down a gradient."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, weights, slopes):
        return [w - self.rate * g for w, g in zip(weights, slopes)]


class Adam:
    """Kingma and Ba, in the form with `epsilon` before the correction."""

    def __init__(self, rate, decays=(0.9, 0.999), epsilon=1e-7):
        self.rate, self.decays, self.epsilon = rate, decays, epsilon
        self.t, self.m, self.v = 0, None, None

    def __call__(self, weights, slopes):
        (a, b), self.t = self.decays, self.t + 1
        self.m = self.m or [np.zeros_like(g) for g in slopes]
        self.v = self.v or [np.zeros_like(g) for g in slopes]
        self.m = [a * m + (1 - a) * g for m, g in zip(self.m, slopes)]
        self.v = [b * v + (1 - b) * g**2 for v, g in zip(self.v, slopes)]
        rate = self.rate * np.sqrt(1 - b**self.t) / (1 - a**self.t)
        return [
            w - rate * m / (np.sqrt(v) + self.epsilon)
            for w, m, v in zip(weights, self.m, self.v)
        ]


def descend(loss, weights, rate):
    """One step of gradient descent."""
    return SGD(rate)(weights, gradients(loss, weights))
