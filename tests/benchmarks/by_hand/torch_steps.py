"""A round of training in plain PyTorch, eagerly, with torch's own Adam."""

import torch
from torch.nn import functional

from .torch_networks import NETWORKS, build, in_precision, weights_of


def draw(recipe, n, sample_rank):
    """All noise of a round: the latent points of each step, and times."""
    sets = (0 if recipe.reuse else recipe.steps) + 1
    latents = torch.randn(sets, n, recipe.latent)
    times = None
    if recipe.penalty == "lipschitz":
        times = torch.rand(recipe.steps, n, *(1,) * sample_rank)
    return latents, times


def penalty_of(recipe, discriminate, real, fake, times, slope_of):
    """The penalty of a recipe; `slope_of(f, x)` is the gradient of its sum."""
    x = real
    if recipe.penalty == "lipschitz":
        x = torch.lerp(fake, real, times)
    slope = slope_of(discriminate, x)
    squared = slope.square().sum(tuple(range(1, x.ndim)))
    if recipe.penalty == "r1":
        return recipe.weight / 2 * squared.mean()
    positive = squared > 0
    norm = torch.where(positive, torch.where(positive, squared, 1).sqrt(), 0)
    return recipe.weight * functional.relu(norm - 1).square().mean()


def discriminator_loss(recipe, discriminate, real, fake):
    if recipe.merged:
        on_real, on_fake = discriminate(torch.cat([real, fake])).chunk(2)
    else:
        on_real, on_fake = discriminate(real), discriminate(fake)
    if recipe.flow == "w1":
        return on_fake.mean() - on_real.mean()
    loss = functional.softplus(-on_real).mean()
    return loss + functional.softplus(on_fake).mean()


def potential(recipe, outputs):
    is_w1 = recipe.flow == "w1"
    return outputs if is_w1 else functional.logsigmoid(outputs)


def _slope(function, x):
    """The gradient of the sum, which can be differentiated again."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(function(x).sum(), x, create_graph=True)[0]


class Eager:
    """A step with its modules, as the benchmark and the test call it."""

    def __init__(self, recipe, generator, discriminator, seed=0, draw=draw):
        torch.manual_seed(seed)
        make_generator, make_discriminator = NETWORKS[recipe.networks]
        self.recipe = recipe
        self._draw = draw
        self.generator = build(make_generator, *generator)
        self.discriminator = build(make_discriminator, *discriminator)
        self._generate, self._discriminate = (
            in_precision(module, recipe.precision)
            for module in (self.generator, self.discriminator)
        )
        self.optimizers = [
            torch.optim.Adam(
                module.parameters(),
                rate,
                (recipe.beta_1, recipe.beta_2),
                recipe.epsilon,
                fused=True,
            )
            for module, rate in (
                (self.generator, recipe.generator_rate),
                (self.discriminator, recipe.discriminator_rate),
            )
        ]

    def step(self, real):
        recipe = self.recipe
        n = len(real)
        latents, times = self._draw(recipe, n, real.ndim - 1)
        if recipe.reuse:
            y = self._generate(latents[0])
            fakes = [y.detach()] * recipe.steps
        else:
            fakes = self._fresh(latents[:-1])
        for i in range(recipe.steps):
            t = None if times is None else times[i]
            loss, penalty = self._discriminator_step(real, fakes[i], t)
        if not recipe.reuse:
            y = self._generate(latents[-1])
        value = self._generator_steps(latents[-1], y)
        return {"generator": value, "discriminator": loss, "penalty": penalty}

    @torch.no_grad()
    def _fresh(self, latents):
        if not self.recipe.merged:
            return [self._generate(latent) for latent in latents]
        return self._generate(latents.flatten(0, 1)).chunk(len(latents))

    def _discriminator_step(self, real, fake, times):
        recipe, optimizer = self.recipe, self.optimizers[1]
        d = self._discriminate
        loss = total = discriminator_loss(recipe, d, real, fake)
        penalty = torch.zeros(())
        if recipe.penalty is not None:
            penalty = penalty_of(recipe, d, real, fake, times, _slope)
            total = loss + penalty
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        return loss.detach(), penalty.detach()

    def _generator_steps(self, latent, y):
        recipe, optimizer = self.recipe, self.optimizers[0]
        samples = y.detach().requires_grad_()
        values = potential(recipe, self._discriminate(samples))
        (slope,) = torch.autograd.grad(values.sum(), samples)
        force = recipe.step_size * slope
        optimizer.zero_grad()
        y.backward(-force / len(y))
        optimizer.step()
        target = samples.detach() + force
        for _ in range(recipe.persistency - 1):
            loss = (target - self._generate(latent)).square().sum()
            optimizer.zero_grad()
            (loss / (2 * len(y))).backward()
            optimizer.step()
        return -values.detach().mean()

    def wait(self):
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    def weights(self):
        """Those of both networks, then the statistics, as in Keras."""
        return weights_of(self.generator), weights_of(self.discriminator)


def ByHand(*arguments, jit_compile=False, **options):
    """The eager step, or the compiled one."""
    if not jit_compile:
        return Eager(*arguments, **options)
    from .torch_compiled import Compiled

    return Compiled(*arguments, **options)


def batches_of(data, size):
    """Tensors, one for each batch; images have their channels first."""
    batches = torch.tensor(data).split(size)
    batches = [b for b in batches if len(b) == size]
    return [b.permute(0, 3, 1, 2) if b.ndim == 4 else b for b in batches]
