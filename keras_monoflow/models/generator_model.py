"""The base of all models that train a generator."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow import gradients
from keras_monoflow.arguments import check_integer
from keras_monoflow.backend import keras_internals, processes
from keras_monoflow.models import label_checks, network_shapes
from keras_monoflow.models.averaging import (
    average_step,
    copy_network,
    decay_by_half_life,
    decay_by_round,
)
from keras_monoflow.models.chosen_samples import ChosenSamples
from keras_monoflow.models.flow_model import FlowModel, _choice
from keras_monoflow.models.label_counter import LabelCounter
from keras_monoflow.models.looking import looking, seed_or_random
from keras_monoflow.models.parts import Parts
from keras_monoflow.models.prior import Prior
from keras_monoflow.models.round import with_labels
from keras_monoflow.numerics import at_least_float32
from keras_monoflow.optimizers import serialize
from keras_monoflow.registry import lookup
from keras_monoflow.typing import Array, ArrayLike, Config, Seed, Tensor


class GeneratorModel(ChosenSamples, FlowModel):
    """A generator whose samples follow a flow.

    If it takes labels as a second input, the model is conditional. Samples and
    labels may be dictionaries or lists of tensors; inside, they are rows.

    Args:
        networks: Dictionary of built `keras.Model`s by attribute name, the
            `generator` among them: from latent points `z`, or from
            `[z, labels]`, to samples.
        prior: Where latent points come from; see `Prior`.
        seed: Integer seed of all noise that training draws, or `None`.
        name: Name of the model.
    """

    def __init__(
        self,
        networks: dict[str, keras.Model],
        prior: Any = "normal",
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(networks, seed=seed, name=name)
        generator = networks["generator"]
        self._averaged = None
        self.parts = Parts(network_shapes.generated_shape(generator))
        shapes = network_shapes.conditions_of(generator, alone=prior is None)
        self.conditional = shapes is not None
        self.labels: Any = None
        if shapes is not None:
            self.conditions = Parts(shapes, "conditions")
            self.labels = LabelCounter(
                self.conditions.shape, are_rows=self.conditions.are_several
            )
        if prior is None:
            self.latent_shape = self.conditions.shape
        else:
            self.latent_shape = network_shapes.input_shape(
                generator, "generator"
            )
        self.prior = Prior(prior, self.latent_shape)

    @classmethod
    def network_roles(cls) -> tuple[str, ...]:
        return ("generator", *super().network_roles())

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Maps latent points, or `[latent points, labels]`, to samples.

        By the averaged generator if there is one, except in training.
        """
        network = self.generator if training else self._best_generator
        return network(inputs, training=training)

    def draw(
        self,
        n: Any,
        seed: Seed,
        labels: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        """Returns `n` generated samples, a tensor; rows of all their parts."""
        inputs = self.generator_inputs(self.prior.draw(n, seed), labels)
        return self.parts.join(self(inputs, training=training))

    def generator_inputs(self, latent: Any, labels: Any) -> Any:
        """Returns what the generator is given: latent points, conditions, or
        both as a list.

        Args:
            latent: Rows of latent points, or `None`.
            labels: Rows of conditions, or `None`.
        """
        return with_labels(latent, self.conditions.split(labels))

    persistency = _choice("persistency")
    update = _choice("update")
    ema = _choice("ema")
    ema_half_life = _choice("ema_half_life")

    @property
    def _generator_optimizer(self):
        """The optimizer of the generator, with loss scaling."""
        raise NotImplementedError

    def optimizers_by_argument(self) -> dict[str, keras.optimizers.Optimizer]:
        generator = {"generator_optimizer": self._generator_optimizer}
        return {**generator, **super().optimizers_by_argument()}

    def _trained_networks(self):
        generator = (self._generator_optimizer, [self.generator])
        return {"generator": generator, **super()._trained_networks()}

    # ------------------------------------------------------------ averaging

    @property
    def averaged_generator(self) -> keras.Model | None:
        """The averaged generator, or `None` if `compile` asks for none."""
        return self._averaged

    @property
    def _best_generator(self):
        """What samples come from, unless told otherwise."""
        return self.averaged_generator or self.generator

    def _set_average(self, choices):
        """Starts, goes on with, or stops averaging, as `compile` says."""
        if choices.averages and self._averaged is None:
            self._start_average()
        elif not choices.averages and self._averaged is not None:
            keras_internals.forget_layer(self, self._averaged)
            self._averaged = None

    def _start_average(self):
        self._averaged = copy_network(self.generator)
        gradients.use_seed_states(self._averaged)

    def update_average(self, rows: Any) -> None:
        """Takes the generator's weights into the average, once a round.

        Args:
            rows: How many samples a round has.
        """
        learned = ops.cast(self.rounds_counter, "float32")
        learned = learned - self.discriminator_warmup
        if self.ema is not None:
            decay = decay_by_round(self.ema, learned)
        else:
            decay = decay_by_half_life(self.ema_half_life, learned, rows)
        average_step(self._averaged, self.generator, decay)

    # ------------------------------------------------------------ samples

    def sample_latent(self, n: int, seed: int | None = None) -> Array:
        """Draws `n` latent points from the prior, `(n, *latent_shape)`.

        Training noise is left alone. The same `seed` gives the same points;
        without one they follow `keras.utils.set_random_seed`.

        Raises:
            ValueError: With `prior=None`, where there are none.
        """
        if not self.prior.draws:
            raise ValueError(
                "There are no latent points: with `prior=None` the generator "
                "takes a condition alone. Pass these to `predict`, or as "
                "`labels` to `sample`."
            )
        check_integer("n", n, minimum=1)
        seed = seed_or_random(seed)
        with processes.local(self.prior.variables):
            return ops.convert_to_numpy(self.prior.draw(n, seed))

    def inputs_of_samples(
        self, n: int, seed: int | None, labels: Array | None
    ) -> Any:
        """Returns what the generator is given for `n` samples, arrays."""
        latent = self.sample_latent(n, seed) if self.prior.draws else None
        return self.generator_inputs(latent, labels)

    def sample(
        self,
        n: int,
        seed: int | None = None,
        batch_size: int = 256,
        labels: ArrayLike | None = None,
        averaged: bool = True,
        accept: str | None = None,
    ) -> Array:
        """Generates `n` samples.

        Args:
            n: How many.
            seed: Integer for the same samples every time, of networks that draw
                noise too. By default `keras.utils.set_random_seed` counts.
            batch_size: How many to generate at once.
            labels: For a conditional model, `n` labels, or one for all. By
                default they are drawn from `seed`, with equal chances for all
                integers up to the largest of the training data.
            averaged: Whether to use the averaged generator, if there is one.
            accept: `"rejection"` to draw samples until `n` are accepted, each
                with a chance in proportion to its density ratio
                `p_data / p_gen`, as `calibrate` has it. Prints how many were
                drawn. `None` to return all.

        Returns:
            A NumPy array `(n, *sample_shape)`, or a dictionary or list of them.

        Raises:
            ValueError: If a number is out of range, the labels do not fit, or
                samples shall be accepted and `calibrate` was not called.

        Source: Azadi et al. 2019, arXiv 1810.06758, for rejection.
        """
        check_integer("n", n, minimum=1)
        check_integer("batch_size", batch_size, minimum=1)
        seed = seed_or_random(seed)
        if self.conditional and labels is None:
            labels = self.labels.draw(n, seed)
        labels = self._check_own_labels(labels, n)
        if accept is not None:
            lookup(accept, {"rejection": None}, "accept")
            rows = self._accepted(n, seed, batch_size, labels, averaged)
            return self.parts.split(rows)
        inputs = self.inputs_of_samples(n, seed, labels)
        rows = self._generate(inputs, n, batch_size, seed, averaged)
        return self.parts.split(rows)

    def _generate(self, inputs, n, batch_size, seed, averaged=True):
        """Returns rows, the `n` samples that the generator makes of inputs."""
        if n == 0:
            return np.zeros((0, *self.sample_shape), "float32")
        size = min(n, batch_size)
        # Full batches only: another size would compile anew.
        rows = np.arange(n + -n % size).reshape(-1, size) % n
        with looking(self, seed):
            batches = [
                self._run(_rows_of(inputs, part), averaged)[:size]
                for part in rows
            ]
        return np.concatenate(batches)[:n]

    def _check_latent_space(self, labels):
        owner = type(self).__name__
        label_checks.check_labels(labels, self.conditional, owner)
        if not self.prior.is_normal:
            raise ValueError(
                "`refine(space='latent')` knows the density of a normal prior "
                f"alone. Received: a model with prior={self.prior.spec!r}."
            )

    def _latent_velocity(self, latent, labels, reference):
        """Returns where latent points move, `J^T grad V(G(z)) - z`."""
        generator = self._best_generator
        if labels is not None:
            labels = ops.convert_to_tensor(labels)

        def run(z):
            inputs = self.generator_inputs(z, labels)
            samples = self.parts.join(generator(inputs, training=False))
            return at_least_float32(samples)

        with processes.local(generator.variables):
            y = ops.stop_gradient(run(latent))
            velocity = self._field.velocity(y, labels, reference)
            velocity = ops.stop_gradient(velocity)
            slope = gradients.input_gradient(
                lambda z: ops.sum(run(z) * velocity), latent
            )
        return slope - latent

    def _run(self, inputs, averaged):
        network = self._best_generator if averaged else self.generator
        if network is self._best_generator and processes.count() == 1:
            # `predict` draws from the generator that shuffles training data,
            # on PyTorch. Under `tf.distribute` each replica returns all rows.
            # Keras's own lets the noise of the networks go on from batch to
            # batch.
            return self.parts.join(keras.Model.predict_on_batch(self, inputs))
        inputs = keras.tree.map_structure(ops.convert_to_tensor, inputs)
        with processes.local(network.variables):
            samples = network(inputs, training=False)
        return self.parts.join(keras.tree.map_structure(_to_numpy, samples))

    # ------------------------------------------------------------- saving

    def get_config(self) -> Config:
        config = {**super().get_config(), "prior": self.prior.serialize_spec()}
        if self._averaged is not None:
            # (Also of a model that is loaded without `compile`.)
            config["averages"] = True
        return config

    @classmethod
    def from_config(
        cls, config: Config, custom_objects: dict[str, Any] | None = None
    ) -> Any:
        config = dict(config)
        averages = config.pop("averages", False)
        model = super().from_config(config, custom_objects)
        if averages:
            model._start_average()
        return model

    def _compile_arguments(self):
        return {
            **super()._compile_arguments(),
            "generator_optimizer": serialize(self._generator_optimizer),
            **self.choices.arguments(
                "persistency", "update", "ema", "ema_half_life"
            ),
        }

    def _user_objects(self):
        function = self.prior.spec
        if function is None or isinstance(function, str):
            return super()._user_objects()
        return [*super()._user_objects(), (function, "prior")]


def _rows_of(inputs, part):
    return keras.tree.map_structure(lambda array: array[part], inputs)


def _to_numpy(x):
    return ops.convert_to_numpy(ops.stop_gradient(x))
