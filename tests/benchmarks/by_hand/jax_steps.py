"""A round of training in plain JAX: one jitted function of the whole state.

`step(state, real)` returns the new state and the losses. The state, a tuple
of pytrees, is donated. `fused` runs many rounds in one `lax.scan`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from .jax_networks import networks_of

#: On a CPU, small batches are best merged and loops over them written out.
#: Larger ones leave the cache that way, and go through a loop. Convolutions
#: inside of a loop are compiled to slow code.
SMALL = 256


class Network(NamedTuple):
    """Weights, batch statistics, and the slots of Adam."""

    weights: list
    statistics: list
    count: Any
    first: list
    second: list


class State(NamedTuple):
    key: Any
    generator: Network
    discriminator: Network


def untrained(weights, statistics=()):
    """A network before its first step of Adam."""
    weights = [jnp.array(w) for w in weights]
    slots = [[jnp.zeros_like(w) for w in weights] for _ in range(2)]
    statistics = [jnp.array(s) for s in statistics]
    return Network(weights, statistics, jnp.int32(0), *slots)


def start(generator, discriminator, seed=0):
    """The first state, from pairs of (weights, statistics)."""
    networks = [untrained(*network) for network in (generator, discriminator)]
    return State(jax.random.key(seed), *networks)


def adam(network, gradients, rate, recipe):
    b1, b2 = recipe.beta_1, recipe.beta_2
    count = network.count + 1
    t = count.astype("float32")
    rate = rate * jnp.sqrt(1 - b2**t) / (1 - b1**t)
    weights, first, second = [], [], []
    for w, m, v, g in zip(
        network.weights, network.first, network.second, gradients
    ):
        m = m + (1 - b1) * (g - m)
        v = v + (1 - b2) * (g * g - v)
        weights.append(w - rate * m / (jnp.sqrt(v) + recipe.epsilon))
        first.append(m)
        second.append(v)
    return Network(weights, network.statistics, count, first, second)


def draw(key, recipe, n, sample_rank):
    """All noise of a round: the latent points of each step, and times."""
    key, latent_key, times_key = jax.random.split(key, 3)
    sets = (0 if recipe.reuse else recipe.steps) + 1
    latents = jax.random.normal(latent_key, (sets, n, recipe.latent))
    times = None
    if recipe.penalty == "lipschitz":
        shape = (recipe.steps, n) + (1,) * sample_rank
        times = jax.random.uniform(times_key, shape)
    return key, latents, times


def loop(body, carry, slices, rolled):
    """A `lax.scan` that keeps the last output, or the same written out."""
    if rolled:
        carry, outputs = lax.scan(body, carry, slices)
        return carry, jax.tree.map(lambda values: values[-1], outputs)
    for i in range(len(jax.tree.leaves(slices)[0])):
        part = jax.tree.map(lambda values: values[i], slices)  # noqa: B023
        carry, output = body(carry, part)
    return carry, output


def make_step(recipe, draw=draw):
    """Returns the pure function `step(state, real)`."""
    generate, discriminate = networks_of(recipe)

    def potential(d, x):
        u = discriminate(d.weights, d.statistics, x)[0][:, 0]
        return jax.nn.log_sigmoid(u) if recipe.flow == "monoflow" else u

    def outputs(weights, statistics, real, fake):
        if recipe.merged and len(real) < SMALL:
            both = jnp.concatenate([real, fake])
            d, statistics = discriminate(weights, statistics, both)
            return d[: len(real)], d[len(real) :], statistics
        on_real, statistics = discriminate(weights, statistics, real)
        on_fake, statistics = discriminate(weights, statistics, fake)
        return on_real, on_fake, statistics

    def penalty(weights, statistics, real, fake, times):
        if recipe.penalty is None:
            return jnp.zeros(())
        x = real
        if recipe.penalty == "lipschitz":
            x = times * real + (1 - times) * fake
        slope = jax.grad(
            lambda x: discriminate(weights, statistics, x)[0].sum()
        )(x)
        squared = (slope**2).sum(tuple(range(1, x.ndim)))
        if recipe.penalty == "r1":
            return recipe.weight / 2 * squared.mean()
        positive = squared > 0
        norm = jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1)), 0)
        return recipe.weight * (jax.nn.relu(norm - 1) ** 2).mean()

    def discriminator_step(d, real, fake, times):
        def loss_of(weights):
            on_real, on_fake, statistics = outputs(
                weights, d.statistics, real, fake
            )
            if recipe.flow == "monoflow":
                loss = jax.nn.softplus(-on_real).mean()
                loss += jax.nn.softplus(on_fake).mean()
            else:
                loss = on_fake.mean() - on_real.mean()
            extra = penalty(weights, d.statistics, real, fake, times)
            return loss + extra, (loss, extra, statistics)

        gradients, (loss, extra, statistics) = jax.grad(loss_of, has_aux=True)(
            d.weights
        )
        d = adam(d, gradients, recipe.discriminator_rate, recipe)
        return d._replace(statistics=statistics), loss, extra

    def discriminator_steps(g, d, real, latents, times):
        """Each on samples of its own; `latents` are `(steps, n, dim)`."""
        inputs = latents
        merged = recipe.merged and len(real) < SMALL
        if merged:
            points = latents.reshape(-1, recipe.latent)
            samples, _ = generate(g.weights, g.statistics, points)
            inputs = samples.reshape(recipe.steps, *real.shape)

        def body(carry, slices):
            d, statistics = carry
            fake, t = slices
            if not merged:
                fake, statistics = generate(g.weights, statistics, fake)
            d, *losses = discriminator_step(d, real, fake, t)
            return (d, statistics), losses

        rolled = recipe.networks == "mlp" and len(real) >= SMALL
        (d, statistics), (loss, extra) = loop(
            body, (d, g.statistics), (inputs, times), rolled
        )
        return g._replace(statistics=statistics), d, loss, extra

    def generator_steps(g, d, latent, y, pullback):
        values, slope = jax.vjp(lambda x: potential(d, x), y)
        force = recipe.step_size * slope(jnp.ones_like(values))[0]
        (gradients,) = pullback(-force / len(y))
        rate, statistics = recipe.generator_rate, g.statistics
        g = adam(g, gradients, rate, recipe)
        target = y + force

        def fit(_, g):
            def regression(weights):
                x, _ = generate(weights, statistics, latent)
                return ((target - x) ** 2).sum() / (2 * len(x))

            return adam(g, jax.grad(regression)(g.weights), rate, recipe)

        if recipe.networks == "mlp":
            g = lax.fori_loop(0, recipe.persistency - 1, fit, g)
        else:
            for i in range(recipe.persistency - 1):
                g = fit(i, g)
        return g, -values.mean()

    def step(state, real):
        g, d = state.generator, state.discriminator
        key, latents, times = draw(state.key, recipe, len(real), real.ndim - 1)

        def pull(g):
            return jax.vjp(
                lambda w: generate(w, g.statistics, latents[-1]),
                g.weights,
                has_aux=True,
            )

        if recipe.reuse:
            y, pullback, statistics = pull(g)
            for i in range(recipe.steps):
                t = None if times is None else times[i]
                d, loss, extra = discriminator_step(d, real, y, t)
        else:
            g, d, loss, extra = discriminator_steps(
                g, d, real, latents[:-1], times
            )
            y, pullback, statistics = pull(g)
        g, value = generator_steps(g, d, latents[-1], y, pullback)
        g = g._replace(statistics=statistics)
        logs = {"generator": value, "discriminator": loss, "penalty": extra}
        return State(key, g, d), logs

    return step


class ByHand:
    """A step with its state, as the benchmark and the test call it."""

    def __init__(self, recipe, generator, discriminator, seed=0, draw=draw):
        self.state = start(generator, discriminator, seed)
        step = self.pure_step = make_step(recipe, draw)
        self._step = jax.jit(step, donate_argnums=0)
        self._fused = jax.jit(
            lambda state, batches: lax.scan(step, state, batches),
            donate_argnums=0,
        )

    def step(self, real):
        self.state, logs = self._step(self.state, real)
        return logs

    def fused(self, batches):
        """Rounds on all of `(rounds, batch, ...)`, as one program."""
        self.state, logs = self._fused(self.state, batches)
        return logs

    def wait(self):
        jax.block_until_ready(self.state)

    def weights(self):
        """Those of both networks, then the statistics, as in Keras."""
        networks = (self.state.generator, self.state.discriminator)
        return tuple((n.weights, n.statistics) for n in networks)


def batches_of(data, size):
    """Device arrays, one for each batch."""
    return [
        jnp.array(data[i : i + size])
        for i in range(0, len(data) - size + 1, size)
    ]
