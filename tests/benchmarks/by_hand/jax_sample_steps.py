"""A round without a discriminator in plain JAX, as its papers' code has it.

One jitted function of the whole state: two generated batches, a velocity from
kernels or transport plans, and one step of Adam along it.
"""

import jax
import jax.numpy as jnp

from .jax_networks import mlp
from .jax_steps import adam, untrained


def distances(a, b):
    return sum((a[:, k, None] - b[None, :, k]) ** 2 for k in range(a.shape[1]))


def student_ratio(y, x, other, bandwidth=0.2):
    """`grad u` of a log ratio of Student kernels, and `-E u`."""
    to_real, to_other = distances(y, x), distances(y, other)
    s = bandwidth * jnp.sqrt(jnp.maximum(to_real, 1e-30)).mean()

    def log_density(squared, points):
        logs = -jnp.log1p(squared / s**2) - jnp.log(len(points))
        total = jax.nn.logsumexp(logs, axis=1)
        w = jnp.exp(logs - total[:, None]) * 2 / (s**2 + squared)
        return total, pull(w, y, points)

    (p, to_p), (q, to_q) = log_density(to_real, x), log_density(to_other, other)
    return to_p - to_q, -(p - q).mean()


def pull(weights, y, points):
    columns = [
        (weights * (points[None, :, k] - y[:, k, None])).sum(1)
        for k in range(y.shape[1])
    ]
    return jnp.stack(columns, axis=1)


def sinkhorn(y, x, other, epsilon=0.05, iterations=10):
    """Steps along entropic plans, and what they descend."""
    costs = [distances(y, points) / 2 for points in (x, other)]
    epsilon = epsilon * costs[0].mean()

    def transport(cost, points):
        scaled, g = -cost / epsilon, jnp.zeros(len(points))
        a, b = -jnp.log(len(y)), -jnp.log(len(points))
        for _ in range(iterations):
            f = -jax.nn.logsumexp(b + scaled + g[None], axis=1)
            g = -jax.nn.logsumexp(a + scaled + f[:, None], axis=0)
        logits = b + scaled + g[None]
        f = -jax.nn.logsumexp(logits, axis=1)
        plan = jnp.exp(logits + f[:, None])
        return pull(plan, y, points), epsilon * (f.mean() + g.mean())

    (to_x, cost_x), (to_other, cost_other) = map(transport, costs, (x, other))
    return to_x - to_other, cost_x - cost_other / 2


VELOCITIES = {"student": student_ratio, "sinkhorn": sinkhorn}


def draw(key, n, latent):
    key, first, second = jax.random.split(key, 3)
    return key, *(jax.random.normal(k, (n, latent)) for k in (first, second))


class ByHand:
    """The jitted step, and its state.

    Args:
        recipe: A `Recipe`; of the flow, its generator's settings count.
        velocity: A name in `VELOCITIES`.
        weights: Those of the generator, `mlp_generator`.
        draw: A function `(key, n, latent)` that returns a new key and the
            latent points of two batches.
    """

    def __init__(self, recipe, velocity, weights, draw=draw):
        self.state = jax.random.key(0), untrained(weights)
        flow = VELOCITIES[velocity]

        def step(state, x):
            key, g = state
            key, z, other_z = draw(key, len(x), recipe.latent)
            y, pullback = jax.vjp(lambda w: mlp(w, [], z)[0], g.weights)
            other, _ = mlp(g.weights, [], other_z)
            v, loss = flow(y, x, other)
            speed = jnp.sqrt((v**2).sum(1)).mean()
            (gradients,) = pullback(-recipe.step_size * v / len(y))
            g = adam(g, gradients, recipe.generator_rate, recipe)
            return (key, g), (loss, speed)

        self._step = jax.jit(step, donate_argnums=0)

    def step(self, x):
        self.state, self.logs = self._step(self.state, x)

    def wait(self):
        jax.block_until_ready((self.state[1], self.logs))
