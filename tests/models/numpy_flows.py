"""Trainings of flows in NumPy and float64, with all noise given."""

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy_networks import gradients, input_gradient, output, run, softplus

ROWS, ROUNDS = 8, 3
RNG = np.random.default_rng(7)
LATENT = RNG.normal(size=(ROWS, 2))
REAL = RNG.normal(1.0, size=(ROUNDS, ROWS, 2))
PARTICLES = RNG.normal(size=(ROWS, 2))
TIMES = np.linspace(0.05, 0.95, ROWS).reshape(-1, 1)
NOISE = RNG.normal(size=(ROWS, 2))
WEIGHT, TEMPERATURE = 20.0, 0.05


def logistic(weights, real, fake):
    losses = softplus(-output(weights, real)) + softplus(output(weights, fake))
    return np.mean(losses)


def wasserstein(weights, real, fake):
    return np.mean(output(weights, fake) - output(weights, real))


def dual(weights, real, fake):
    phi, psi = output(weights[:3], fake), output(weights[3:], real)
    cost = np.sum((fake[:, None] - real[None]) ** 2, axis=-1) / 2
    excess = np.maximum(phi[:, None] + psi[None] - cost, 0)
    return WEIGHT * np.mean(excess**2) - np.mean(phi) - np.mean(psi)


def r1(weights, real, fake):
    return 2.0 / 2 * np.mean(np.sum(input_gradient(weights, real) ** 2, -1))


def lipschitz(weights, real, fake):
    slope = input_gradient(weights, TIMES * real + (1 - TIMES) * fake)
    excess = np.maximum(np.linalg.norm(slope, axis=-1) - 1, 0)
    return 3.0 * np.mean(excess**2)


def nothing(weights, real, fake):
    return 0.0


def hellinger(weights, x):
    return 2 * (np.exp(output(weights, x) / 2) - 1)


def minus_phi(weights, x):
    return -output(weights[:3], x)


@dataclasses.dataclass(frozen=True)
class Case:
    """A flow, `compile`'s arguments, and what they mean in NumPy."""

    flow: type
    objective: Callable
    value: Callable
    arguments: dict
    penalty: Callable = nothing
    networks: int = 2
    steps: int = 1
    fits: int = 1
    size: float = 1.0

    def learn(self, weights, optimizer, real, fake):
        for _ in range(self.steps):
            slopes = gradients(
                lambda w: (
                    self.objective(w, real, fake) + self.penalty(w, real, fake)
                ),
                weights,
            )
            weights = optimizer(weights, slopes)
        return weights

    def velocity(self, weights, x):
        """The gradient of the value, by central differences."""
        total = lambda x: np.sum(self.value(weights, x[0]))  # noqa: E731
        return gradients(total, [x])[0]


def generator_training(case, g, d, make_optimizer):
    """The generator's, the discriminators' and the averaged weights."""
    down_g, down_d = make_optimizer("generator"), make_optimizer("other")
    is_proximal = case.arguments.get("update") == "proximal"
    average = g
    for t, real in enumerate(REAL):
        y = run(g, LATENT)
        d = case.learn(d, down_d, real, y)
        speed = case.velocity(d, y)
        target = y + case.size * speed

        def loss(w, y=y, d=d, target=target):
            x = run(w, LATENT)
            if not is_proximal:
                return np.mean(np.sum((target - x) ** 2, -1)) / 2
            way = np.mean(np.sum((x - y) ** 2, -1)) / 2
            return way / case.size - np.mean(case.value(d, x))

        for _ in range(case.fits):
            g = down_g(g, gradients(loss, g))
        decay = min(case.arguments.get("ema") or 0.0, (1 + t) / (10 + t))
        average = [decay * a + (1 - decay) * w for a, w in zip(average, g)]
    return [*g, *d, *average]


def particle_training(case, d, make_optimizer):
    """The discriminator's weights, and where the particles are."""
    x, down = PARTICLES, make_optimizer("other")
    for real in REAL:
        d = case.learn(d, down, real, x)
        x = x + case.size * case.velocity(d, x)
        x = x + np.sqrt(2 * TEMPERATURE * case.size) * NOISE
    return [*d, x]
