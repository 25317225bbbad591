"""MonoFlow on MNIST as a plain loop of PyTorch, as papers publish them.

Modules with batch norm, two Adams, one step each, and the same generated
images in both. The losses are called with `backward`, so that the
generator's step also computes gradients of the discriminator, which the next
`zero_grad` throws away. Images lie in memory as torch has them by default.
"""

import torch
from torch.nn.functional import logsigmoid, softplus

from .torch_networks import NETWORKS, build


class Loop:
    """The body of the loop; `step(real)` is one round."""

    def __init__(self, recipe, generator, discriminator):
        self.recipe = recipe
        self.generator, self.discriminator = (
            build(make, *weights).to(memory_format=torch.contiguous_format)
            for make, weights in zip(
                NETWORKS[recipe.networks], (generator, discriminator)
            )
        )
        betas = (recipe.beta_1, recipe.beta_2)
        self.generator_optimizer = torch.optim.Adam(
            self.generator.parameters(), lr=recipe.generator_rate, betas=betas
        )
        self.discriminator_optimizer = torch.optim.Adam(
            self.discriminator.parameters(),
            lr=recipe.discriminator_rate,
            betas=betas,
        )

    def step(self, real):
        noise = torch.randn(len(real), self.recipe.latent)
        fake = self.generator(noise)

        self.discriminator_optimizer.zero_grad()
        on_real = self.discriminator(real)
        on_fake = self.discriminator(fake.detach())
        loss = softplus(-on_real).mean() + softplus(on_fake).mean()
        loss.backward()
        self.discriminator_optimizer.step()

        self.generator_optimizer.zero_grad()
        # The mapping h(u) = log sigmoid(u), which the generator climbs.
        generator_loss = -logsigmoid(self.discriminator(fake)).mean()
        generator_loss.backward()
        self.generator_optimizer.step()
        return loss.detach(), generator_loss.detach()

    def wait(self):
        """Nothing runs behind the back of the loop on a CPU."""
