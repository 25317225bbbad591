"""Known GANs by name: the rows of Table 1 of the MonoFlow paper, and R3GAN."""

from typing import Any

from keras_monoflow import mappings
from keras_monoflow.losses.least_squares_losses import (
    LeastSquaresLoss,
    LeastSquaresRatioLoss,
)
from keras_monoflow.losses.logistic_losses import LogisticLoss
from keras_monoflow.losses.matched_loss import MatchedLoss
from keras_monoflow.losses.relativistic_loss import RelativisticLoss
from keras_monoflow.registry import lookup


def named_gan(name: str, alpha: float = 1.0) -> tuple[Any, Any]:
    """Returns the mapping and the discriminator objective of a known GAN.

    | name | mapping `h` | objective |
    |---|---|---|
    | `vanilla` | softplus(u) | logistic |
    | `non_saturated` | -softplus(-u) | logistic |
    | `f_gan` | `r f'(r) - f(r)` = `Alpha(alpha)` | its own |
    | `f_gan_trick` | `f'(r)` = `Alpha(alpha - 1)` | that of `f_gan` |
    | `b_gan` | (d^alpha - 1) / alpha | least-squares ratio |
    | `lsgan` | -(d - 1)^2 | least squares |
    | `gebm` | exp(u), with u = -energy | its own |
    | `r3gan` | -E_x softplus(u(x) - u) | relativistic, rows in pairs |

    Args:
        name: A name from the table.
        alpha: Which alpha-divergence, for the f-GANs and b-GAN: 0 is
            KL(q || p), 1 KL(p || q), 2 Pearson, 1/2 Hellinger, -1 Neyman.

    Returns:
        A pair `(mapping, discriminator_loss)`.

    Source: Yi, Zhu and Liu 2023, arXiv 2302.01075, Table 1; Huang et al. 2024,
    arXiv 2501.05441, for `r3gan`.

    Example:

    ```python
    import keras_monoflow as kmf

    mapping, discriminator_loss = kmf.losses.named_gan("lsgan")
    gan = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(2, 2), kmf.networks.mlp_discriminator(2)
    )
    gan.compile(
        "adam", "adam", mapping=mapping, discriminator_loss=discriminator_loss
    )
    ```
    """
    alpha_mapping = mappings.Alpha
    table = {
        "vanilla": lambda: (mappings.Vanilla(), LogisticLoss()),
        "non_saturated": lambda: (mappings.NonSaturating(), LogisticLoss()),
        "f_gan": lambda: (
            alpha_mapping(alpha),
            MatchedLoss(alpha_mapping(alpha)),
        ),
        "f_gan_trick": lambda: (
            alpha_mapping(alpha - 1.0),
            MatchedLoss(alpha_mapping(alpha)),
        ),
        "b_gan": lambda: (alpha_mapping(alpha), LeastSquaresRatioLoss()),
        "lsgan": lambda: (mappings.LeastSquares(), LeastSquaresLoss()),
        "r3gan": lambda: (mappings.Relativistic(), RelativisticLoss("rows")),
        "gebm": lambda: (alpha_mapping(1.0), MatchedLoss(alpha_mapping(1.0))),
    }
    return lookup(name, table, "name")()
