"""One Keras optimizer that owns those of both networks."""

import keras

LossScaleOptimizer = keras.optimizers.LossScaleOptimizer


@keras.saving.register_keras_serializable("keras_monoflow")
class PairOptimizer(keras.optimizers.Optimizer):
    """The optimizers of a generator and a discriminator, seen as one.

    A `keras.Model` has one `optimizer`: what it saves, resumes, distributes
    and hands to callbacks. This one joins the variables of two optimizers, each
    of which keeps its own kind, schedule, clipping and loss scale. They are
    renamed `generator` and `discriminator`, so that callbacks log
    `learning_rate_generator` and `learning_rate_discriminator`.

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
        generator_optimizer,
        discriminator_optimizer,
        role="discriminator",
        name="pair_optimizer",
    ):
        super().__init__(learning_rate=0.0, name=name)
        self.role = role
        self.generator = _get(generator_optimizer, "generator_optimizer")
        self.discriminator = _get(discriminator_optimizer, f"{role}_optimizer")
        if self.generator is self.discriminator:
            raise ValueError(
                f"`generator_optimizer` and `{role}_optimizer` must be "
                "two objects, because each keeps the state of one network. "
                f"Received the same one twice: {self.generator}."
            )
        self._name_children()

    def _name_children(self):
        for optimizer, name in (
            (self.generator, "generator"),
            (self.discriminator, self.role),
        ):
            optimizer.name = name
            without_loss_scaling(optimizer).name = name

    @property
    def optimizers(self):
        """The two optimizers, without loss scaling, as callbacks want them."""
        return [
            without_loss_scaling(self.generator),
            without_loss_scaling(self.discriminator),
        ]

    @property
    def variables(self):
        children = self.generator.variables + self.discriminator.variables
        return self._variables + children

    def build_networks(self, generator_variables, discriminator_variables):
        """Creates the slots of both optimizers."""
        self.generator.build(generator_variables)
        self.discriminator.build(discriminator_variables)
        self.built = True

    def build(self, variables):
        """Does nothing once built: Keras calls it with all variables."""
        if not self.built:
            raise ValueError(
                "A PairOptimizer is built by `build_networks(generator_"
                "variables, discriminator_variables)`, which the `compile` of "
                "the package's models calls."
            )

    def apply(self, grads, trainable_variables=None):
        raise ValueError(
            "A PairOptimizer takes no step itself. Call `apply` of its "
            "`generator` or its `discriminator`."
        )

    def count_round(self):
        self._iterations.assign_add(1)

    @property
    def learning_rate(self):
        """The generator's. Setting it scales both by the same factor."""
        return self.generator.learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
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

    def finalize_variable_values(self, var_list):
        for optimizer in self.optimizers:
            optimizer.finalize_variable_values(optimizer._trainable_variables)

    def get_config(self):
        return {
            "generator_optimizer": serialize(self.generator),
            "discriminator_optimizer": serialize(self.discriminator),
            "role": self.role,
            "name": self.name,
        }


def serialize(optimizer):
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


def scale_losses(optimizer):
    """Wraps an optimizer for float16, unless it is wrapped already."""
    if isinstance(optimizer, LossScaleOptimizer):
        return optimizer
    return LossScaleOptimizer(optimizer)


def without_loss_scaling(optimizer):
    """Returns an optimizer, or the one that a `LossScaleOptimizer` wraps."""
    if isinstance(optimizer, LossScaleOptimizer):
        return optimizer.inner_optimizer
    return optimizer


def _get(optimizer, argument):
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
