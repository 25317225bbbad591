"""One Keras optimizer that owns those of both networks."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_monoflow.typing import Config, Tensor

LossScaleOptimizer = keras.optimizers.LossScaleOptimizer


@keras.saving.register_keras_serializable("keras_monoflow")
class PairOptimizer(keras.optimizers.Optimizer):
    """The optimizers of a generator and a discriminator, seen as one.

    A `keras.Model` has one `optimizer`: what it saves, resumes, distributes
    and hands to callbacks. This one joins the variables of two optimizers, each
    of which keeps its own kind, schedule, clipping and loss scale. They are
    renamed `generator` and `discriminator`, or the model's other `role`, so
    that callbacks log `learning_rate_generator` and, for instance,
    `learning_rate_critic`.

    `iterations` counts rounds, that is training batches. Each child counts its
    own updates, of which a round may have several.

    Args:
        generator_optimizer: A `keras.optimizers.Optimizer`, its name or its
            configuration.
        discriminator_optimizer: Likewise; a different object.
        role: What messages and logs call the discriminator.
        name: Name of the pair.
    """

    def __init__(
        self,
        generator_optimizer: Any,
        discriminator_optimizer: Any,
        role: str = "discriminator",
        name: str = "pair_optimizer",
    ) -> None:
        super().__init__(learning_rate=0.0, name=name)
        self.role = role
        self.generator = get_required(
            generator_optimizer, "generator_optimizer"
        )
        self.discriminator = get_required(
            discriminator_optimizer, f"{role}_optimizer"
        )
        if self.generator is self.discriminator:
            raise ValueError(
                f"`generator_optimizer` and `{role}_optimizer` must be "
                "two objects, because each keeps the state of one network. "
                f"Received the same one twice: {self.generator}."
            )
        for optimizer, name in (
            (self.generator, "generator"),
            (self.discriminator, self.role),
        ):
            optimizer.name = name
            without_loss_scaling(optimizer).name = name

    @property
    def optimizers(self) -> list[keras.Optimizer]:
        """The two optimizers, without loss scaling, as callbacks want them."""
        return [
            without_loss_scaling(self.generator),
            without_loss_scaling(self.discriminator),
        ]

    @property
    def variables(self) -> list[keras.Variable]:
        children = self.generator.variables + self.discriminator.variables
        return super().variables + children

    def build_networks(
        self,
        generator_variables: Sequence[keras.Variable],
        discriminator_variables: Sequence[keras.Variable],
    ) -> None:
        """Creates the slots of both optimizers."""
        build_apart(self.generator, generator_variables)
        build_apart(self.discriminator, discriminator_variables)
        self.built = True

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Does nothing once built: Keras calls it with all variables."""
        if not self.built:
            raise ValueError(
                "A PairOptimizer is built by `build_networks(generator_"
                "variables, discriminator_variables)`, which the `compile` of "
                "the package's models calls."
            )

    def apply(
        self,
        grads: Sequence[Tensor],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        raise ValueError(
            "A PairOptimizer takes no step itself. Call `apply` of its "
            "`generator` or its `discriminator`."
        )

    @property
    def learning_rate(self) -> Tensor:
        """The generator's. Setting it scales both by the same factor."""
        return self.generator.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        old = float(keras.ops.convert_to_numpy(self.learning_rate))
        if old <= 0.0:
            raise ValueError(
                "`learning_rate` scales the rates of both networks, which "
                f"needs a positive one to start from. It is {old!r}: set those "
                "of `optimizer.generator` and `optimizer.discriminator`."
            )
        for optimizer in self.optimizers:
            rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
            optimizer.learning_rate = rate * float(value) / old

    def finalize_variable_values(
        self, var_list: Sequence[keras.Variable]
    ) -> None:
        """Lets each optimizer overwrite the weights of its network."""
        for optimizer in (self.generator, self.discriminator):
            optimizer.finalize_variable_values(var_list)

    def get_config(self) -> Config:
        return {
            "generator_optimizer": serialize(self.generator),
            "discriminator_optimizer": serialize(self.discriminator),
            "role": self.role,
            "name": self.name,
        }


def serialize(optimizer: keras.Optimizer) -> Config:
    """Returns a configuration that loads on every backend.

    On PyTorch, Keras writes the name of its own subclass for that backend,
    which a model loaded elsewhere could not train with.
    """
    config = keras.saving.serialize_keras_object(optimizer)
    known = getattr(keras.optimizers, config["class_name"], ())
    is_own = type(optimizer).__module__.startswith("keras.")
    if is_own and isinstance(optimizer, known):
        config.update(module="keras.optimizers", registered_name=None)
    if isinstance(optimizer, LossScaleOptimizer):
        inner = serialize(optimizer.inner_optimizer)
        config["config"]["inner_optimizer"] = inner
    return config


def scale_losses(optimizer: keras.Optimizer) -> keras.Optimizer:
    """Wraps an optimizer for float16, unless it is wrapped already."""
    if isinstance(optimizer, LossScaleOptimizer):
        return optimizer
    return LossScaleOptimizer(optimizer)


def without_loss_scaling(optimizer: keras.Optimizer) -> keras.Optimizer:
    """Returns an optimizer, or the one that a `LossScaleOptimizer` wraps."""
    if isinstance(optimizer, LossScaleOptimizer):
        return optimizer.inner_optimizer
    return optimizer


def build(
    optimizer: keras.Optimizer, variables: Sequence[keras.Variable]
) -> None:
    """Creates the slots of an optimizer, all of which are written to files.

    Keras's `LossScaleOptimizer` builds the one inside with tracking turned off,
    so that what it does not make by `add_variable` (a product in `Nadam`)
    would be missing from files. Here that one is built first.
    """
    without_loss_scaling(optimizer).build(variables)
    optimizer.build(variables)


def build_apart(
    optimizer: keras.Optimizer, variables: Sequence[keras.Variable]
) -> None:
    """As `build`, for some of the trainable variables of a model alone.

    At the end of `fit` Keras hands the optimizer all of them, and its own
    averages (`use_ema=True`) are those of these.
    """
    build(optimizer, variables)
    finalize = type(optimizer).finalize_variable_values
    optimizer.finalize_variable_values = lambda _: finalize(
        optimizer, variables
    )


def clips(optimizer: keras.Optimizer) -> bool:
    """Returns whether an optimizer clips gradients."""
    limits = (optimizer.clipnorm, optimizer.global_clipnorm)
    return any(limit is not None for limit in (*limits, optimizer.clipvalue))


def get_required(optimizer: Any, argument: str) -> keras.Optimizer:
    """Returns the optimizer of one network.

    Raises:
        ValueError: If there is none, or it is that of two networks.
    """
    if optimizer is None:
        raise ValueError(
            f"`{argument}` is required, for example "
            f"{argument}=keras.optimizers.Adam(1e-4, beta_1=0.5)."
        )
    optimizer = keras.optimizers.get(optimizer)
    if isinstance(optimizer, PairOptimizer):
        raise ValueError(
            f"`{argument}` must be the optimizer of one network. Received: "
            f"{argument}={optimizer}."
        )
    return optimizer


@keras.saving.register_keras_serializable("keras_monoflow")
class Adam(keras.optimizers.Adam):
    """Adam whose `beta_2` can follow a schedule of its updates.

    In update `t`, counted from 0, the decay of the second moments and the bias
    correction have `beta_2(t)`, as in the R3GAN authors' code. Else it is
    Keras's own.

    Args:
        learning_rate: As for `keras.optimizers.Adam`.
        beta_1: As there.
        beta_2: A float, or a `keras.optimizers.schedules` object.
        **kwargs: As there.

    Example:

    ```python
    import keras_monoflow as kmf

    decay = kmf.schedules.Cosine(0.9, 0.99, duration=1000)
    optimizer = kmf.optimizers.Adam(2e-4, beta_1=0.0, beta_2=decay)
    ```
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: Any = 0.999,
        **kwargs: Any,
    ) -> None:
        if isinstance(beta_2, dict):
            beta_2 = keras.saving.deserialize_keras_object(beta_2)
        super().__init__(learning_rate, beta_1, beta_2, **kwargs)

    @property
    def beta_2(self) -> Any:
        """The decay in the coming update."""
        decay = self._beta_2
        return decay(self.iterations) if callable(decay) else decay

    @beta_2.setter
    def beta_2(self, value: Any) -> None:
        self._beta_2 = value

    def get_config(self) -> Config:
        # (A number stays as it is.)
        decay = keras.saving.serialize_keras_object(self._beta_2)
        return {**super().get_config(), "beta_2": decay}
