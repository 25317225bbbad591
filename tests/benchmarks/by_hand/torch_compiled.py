"""A round of training in PyTorch, as one compiled function.

`torch.compile` cannot differentiate twice through autograd, which gradient
penalties need, but it can with `torch.func`: the step is a pure function of
parameters and slots of Adam. Batch statistics are not kept.
"""

import torch
from torch import nn
from torch.func import functional_call, grad, grad_and_value, vjp

from .torch_networks import NETWORKS, build, in_precision, weights_of
from .torch_steps import discriminator_loss, draw, penalty_of, potential


def _slope(function, x):
    return grad(lambda x: function(x).sum())(x)


class _Network:
    """A module, its parameters, and the slots of Adam."""

    def __init__(self, module, rate, recipe):
        self.module, self.rate, self.recipe = module, rate, recipe
        self.names = [name for name, _ in module.named_parameters()]
        self.parameters = [p.detach() for p in module.parameters()]
        self.slots = [
            [torch.zeros_like(p) for p in self.parameters] for _ in range(2)
        ]
        self.count = torch.zeros(())
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.track_running_stats = False

    def call(self, parameters, x):
        named = dict(zip(self.names, parameters))

        def run(x):
            return functional_call(self.module, named, (x,))

        return in_precision(run, self.recipe.precision)(x)

    def adam(self, gradients):
        b1, b2 = self.recipe.beta_1, self.recipe.beta_2
        first, second = self.slots
        self.count.add_(1)
        rate = self.rate * (1 - b2**self.count).sqrt() / (1 - b1**self.count)
        gradients = list(gradients)
        torch._foreach_lerp_(first, gradients, 1 - b1)
        torch._foreach_mul_(second, b2)
        torch._foreach_addcmul_(second, gradients, gradients, 1 - b2)
        roots = torch._foreach_sqrt(second)
        torch._foreach_add_(roots, self.recipe.epsilon)
        steps = torch._foreach_div(first, roots)
        torch._foreach_mul_(steps, rate)
        torch._foreach_sub_(self.parameters, steps)


class Compiled:
    """A step with its state, as the benchmark and the test call it."""

    def __init__(self, recipe, generator, discriminator, seed=0, draw=draw):
        torch.manual_seed(seed)
        make_generator, make_discriminator = NETWORKS[recipe.networks]
        self.recipe = recipe
        self._draw = draw
        self.generator = _Network(
            build(make_generator, *generator), recipe.generator_rate, recipe
        )
        self.discriminator = _Network(
            build(make_discriminator, *discriminator),
            recipe.discriminator_rate,
            recipe,
        )
        self.step = torch.no_grad()(torch.compile(self._round))

    def _round(self, real):
        recipe, g = self.recipe, self.generator
        latents, times = self._draw(recipe, len(real), real.ndim - 1)

        def generate(*parameters):
            return g.call(parameters, latents[-1])

        if recipe.reuse:
            y, pullback = vjp(generate, *g.parameters)
            fakes = [y] * recipe.steps
        elif recipe.merged:
            fakes = g.call(g.parameters, latents[:-1].flatten(0, 1))
            fakes = fakes.chunk(recipe.steps)
        else:
            fakes = [g.call(g.parameters, z) for z in latents[:-1]]
        for i in range(recipe.steps):
            t = None if times is None else times[i]
            loss, penalty = self._discriminator_step(real, fakes[i], t)
        if not recipe.reuse:
            y, pullback = vjp(generate, *g.parameters)
        value = self._generator_steps(latents[-1], y, pullback)
        return {"generator": value, "discriminator": loss, "penalty": penalty}

    def _discriminator_step(self, real, fake, times):
        recipe, d = self.recipe, self.discriminator

        def loss_of(parameters):
            def discriminate(x):
                return d.call(parameters, x)

            loss = discriminator_loss(recipe, discriminate, real, fake)
            extra = torch.zeros(())
            if recipe.penalty is not None:
                extra = penalty_of(
                    recipe, discriminate, real, fake, times, _slope
                )
            return loss + extra, (loss, extra)

        transform = grad_and_value(loss_of, has_aux=True)
        gradients, (_, logs) = transform(tuple(d.parameters))
        d.adam(gradients)
        return logs

    def _generator_steps(self, latent, y, pullback):
        recipe, g, d = self.recipe, self.generator, self.discriminator

        def total(x):
            values = potential(recipe, d.call(d.parameters, x))
            return values.sum()

        slope, value = grad_and_value(total)(y)
        force = recipe.step_size * slope
        g.adam(pullback(-force / len(y)))
        target = y + force

        def regression(parameters):
            squared = (target - g.call(parameters, latent)).square()
            return squared.sum() / (2 * len(y))

        for _ in range(recipe.persistency - 1):
            g.adam(grad(regression)(tuple(g.parameters)))
        return -value / len(y)

    def wait(self):
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    def weights(self):
        """Those of both networks, then the statistics, as in Keras."""
        for network in (self.generator, self.discriminator):
            for p, value in zip(
                network.module.parameters(), network.parameters
            ):
                p.data = value
        return (
            weights_of(self.generator.module),
            weights_of(self.discriminator.module),
        )
