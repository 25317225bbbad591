"""What a hand-written step needs to know about a case."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One round of training, in the terms of the package's `compile`.

    - `flow`: `"monoflow"`, with the logistic loss and the non-saturating
      mapping, or `"w1"`;
    - `networks`: `"mlp"`, `"dcgan"` (batch norm in both networks) or
      `"resnet"` (batch norm in the generator);
    - `penalty`: `None`, `"r1"`, `"lipschitz"` or (keras_io_wgan_gp.py only)
      `"gradient"`, times `weight`;
    - `reuse`: whether both networks learn from the same generated samples;
    - `merged`: whether real and generated samples go through the
      discriminator as one batch, and all samples for the discriminator's steps
      through the generator as one. Exact where there is no batch norm;
    - `precision`: `"float32"`, or the `"bfloat16"` or `"float16"` that layers
      compute in. Weights, statistics and losses stay in float32, and losses
      are not scaled.
    """

    flow: str
    networks: str
    latent: int
    steps: int = 1
    penalty: str | None = None
    weight: float = 10.0
    persistency: int = 1
    step_size: float = 1.0
    reuse: bool = False
    merged: bool = False
    generator_rate: float = 1e-4
    discriminator_rate: float = 2e-4
    beta_1: float = 0.5
    beta_2: float = 0.999
    #: That of Keras; the place of epsilon in torch's Adam is another.
    epsilon: float = 1e-7
    precision: str = "float32"


def weights_of(network):
    """Trainable weights and batch statistics of a Keras model, as arrays."""
    import keras

    return tuple(
        [keras.ops.convert_to_numpy(w) for w in weights]
        for weights in (
            network.trainable_weights,
            network.non_trainable_weights,
        )
    )
