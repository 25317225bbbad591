"""The base of all models that train a generator against a discriminator."""

import warnings

import keras
import numpy as np
from keras import ops

from keras_monoflow import gradients, penalties
from keras_monoflow.arguments import check_integer
from keras_monoflow.models import checks
from keras_monoflow.models.fitting import callbacks_for
from keras_monoflow.models.logs import LogMeans
from keras_monoflow.models.prior import Prior
from keras_monoflow.models.rounds import TrainsInRounds
from keras_monoflow.models.saving import SavesEverything
from keras_monoflow.numerics import at_least_float32
from keras_monoflow.optimizers import PairOptimizer, scale_losses


class AdversarialModel(TrainsInRounds, SavesEverything, keras.Model):
    """A generator that follows the potential of a discriminator.

    Subclasses say what the discriminator minimises (`objective`), which
    scalar *potential* `V(x)`, high where data are, samples climb
    (`potential_of`), and what `compile` takes.

    Args:
        generator: A built `keras.Model` from latent points to samples.
        discriminator: A built `keras.Model` from samples to `(batch, 1)`.
        prior: Where latent points come from; see `Prior`.
        seed: Integer seed of all noise that training draws, or `None`.
        name: Name of the model.
    """

    def __init__(
        self, generator, discriminator, prior="normal", seed=None, name=None
    ):
        super().__init__(name=name)
        checks.check_network(generator, "generator")
        checks.check_network(discriminator, self.role)
        latent_shape = checks.latent_shape(generator)
        checks.check_shapes(generator, discriminator, self.role)
        self.generator = generator
        self.discriminator = discriminator
        for network in (generator, discriminator):
            gradients.use_seed_states(network)
        self.prior = Prior(prior, latent_shape)
        self.latent_shape = latent_shape
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed, name="noise")
        self.evaluation_seed = keras.random.SeedGenerator(0, name="evaluation")
        self._log_means = LogMeans()
        self.built = True

    def call(self, latent, training=False):
        """Maps latent points to samples."""
        return self.generator(latent, training=training)

    #: What arguments, logs and files call the discriminator.
    role = "discriminator"

    # ------------------------------------------------------------- compile

    def _compile(
        self,
        generator_optimizer,
        discriminator_optimizer,
        penalty,
        discriminator_steps,
        split_batch,
        discriminator_warmup,
        persistency,
        step_size,
        update,
        normalize_velocity,
        reuse_generated,
        log_names,
        **kwargs,
    ):
        """What the `compile` of all subclasses shares."""
        for name in ("loss", "metrics", "weighted_metrics", "loss_weights"):
            if kwargs.pop(name, None) is not None:
                raise ValueError(
                    f"`{name}` is not an argument of {type(self).__name__}."
                    "compile: adversarial losses compare two batches. To "
                    "judge samples, use `keras_monoflow.metrics`."
                )
        self.penalties = penalties.get(penalty)
        self.discriminator_steps = check_integer(
            f"{self.role}_steps", discriminator_steps, minimum=1
        )
        self.split_batch = bool(split_batch)
        self.discriminator_warmup = check_integer(
            f"{self.role}_warmup", discriminator_warmup, minimum=0
        )
        self.persistency = check_integer("persistency", persistency, minimum=1)
        self.step_size = checks.check_step_size(step_size)
        self.update = checks.check_update(update)
        self.normalize_velocity = bool(normalize_velocity)
        self.reuse_generated = bool(reuse_generated)
        log_names = [*log_names, "velocity_norm"]
        log_names += ["penalty"] if self.penalties else []
        log_names += ["regression_loss"] if self.persistency > 1 else []
        self._log_means = LogMeans(log_names)
        optimizer = PairOptimizer(
            generator_optimizer, discriminator_optimizer, role=self.role
        )
        if _computes_in_float16(self.generator, self.discriminator):
            optimizer.generator = scale_losses(optimizer.generator)
            optimizer.discriminator = scale_losses(optimizer.discriminator)
        optimizer.build_networks(
            self.generator.trainable_variables,
            self.discriminator.trainable_variables,
        )
        self._trainer_arguments = dict(kwargs)
        super().compile(optimizer=optimizer, auto_scale_loss=False, **kwargs)

    @property
    def metrics(self):
        return self._log_means.metrics

    def _log(self, batch, **values):
        """Adds values of one batch to the means that `fit` reports."""
        size = ops.cast(ops.shape(batch)[0], "float32")
        for name, value in values.items():
            self._log_means[name].update_state(value, sample_weight=size)

    # ------------------------------------------- what subclasses must say

    def objective(self, real_output, fake_output):
        """Returns the scalar that the discriminator minimises."""
        raise NotImplementedError

    def potential_of(self, output, fake_output=None):
        """Returns `V`, given the discriminator's output."""
        raise NotImplementedError

    def _reference_output(self):
        """Output on generated samples, where `potential_of` needs it."""
        return None

    def _log_outputs(self, batch, real_output, fake_output):
        """Logs what else the outputs tell, such as log ratios."""

    # --------------------------------------------------------- evaluation

    def test_step(self, *arguments):
        return gradients.test_step(self, self._evaluate_batch, arguments)

    def _evaluate_batch(self, data):
        real = self._real_batch(data)
        z = self.prior.draw(ops.shape(real)[0], self.evaluation_seed)
        generated = at_least_float32(self.generator(z, training=False))
        real_output = self.discriminator(real, training=False)
        fake_output = self.discriminator(generated, training=False)
        objective = self.objective(real_output, fake_output)
        self._log(
            real,
            **{f"{self.role}_loss": objective},
            generator_loss=-ops.mean(self.potential_of(fake_output)),
        )
        self._log_outputs(real, real_output, fake_output)
        return self._log_means.results(
            without=("penalty", "velocity_norm", "regression_loss")
        )

    def evaluate(self, *args, **kwargs):
        """As in Keras. The generated samples are the same in every call."""
        seed = self.evaluation_seed
        seed.state.assign(np.array([0, 0], dtype="int64"))
        return super().evaluate(*args, **kwargs)

    # ---------------------------------------------------------- using it

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        **kwargs,
    ):
        """Trains on samples `x`, as `keras.Model.fit` does.

        The first batch is checked for shape, infinities and NaN. Data sets of
        the package whose order is a function of (seed, epoch) are told the
        epoch, so that a resumed run sees what the interrupted one would have.

        Raises:
            ValueError: If the model was not compiled, the data do not fit, or
                the first batch gives NaN.
        """
        if not self.compiled:
            raise ValueError(
                f"Call `compile` of {type(self).__name__} before `fit`: it "
                "takes the optimizers, the losses and all training choices."
            )
        self._check_data(x, y, batch_size or 32)
        if hasattr(x, "set_epoch"):
            # The order is the data set's own business.
            kwargs["shuffle"] = False
        with gradients.keep_variables(self):
            return super().fit(
                x,
                y,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks_for(x, callbacks),
                **kwargs,
            )

    def _check_data(self, x, y, batch_size):
        checks.check_unlabelled(y, type(self).__name__)
        smallest = checks.smallest_batch(x, batch_size)
        if self.split_batch and smallest is not None:
            checks.check_split(smallest, self.discriminator_steps, self.role)
        shape = self.discriminator.input_shape[1:]
        if checks.check_data(x, shape, batch_size):
            self._warn_in_bytes()

    def _warn_in_bytes(self):
        if not getattr(self, "_warned_in_bytes", False):
            warnings.warn(checks.IN_BYTES, stacklevel=4)
        self._warned_in_bytes = True

    def sample_latent(self, n, seed=None):
        """Draws `n` latent points from the prior, `(n, *latent_shape)`.

        Training noise is left alone. The same `seed` gives the same points.
        """
        check_integer("n", n, minimum=1)
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0] >> 1)
        return ops.convert_to_numpy(self.prior.draw(n, seed))

    def sample(self, n, seed=None, batch_size=256):
        """Generates `n` samples.

        Args:
            n: How many.
            seed: Integer for the same samples every time, or `None`.
            batch_size: How many to generate at once.

        Returns:
            A NumPy array `(n, *sample_shape)`.
        """
        check_integer("batch_size", batch_size, minimum=1)
        latent = self.sample_latent(n, seed)
        size = min(n, batch_size)
        # Full batches only: another size would compile anew. `predict` would
        # do it all, but on PyTorch it draws from the generator that shuffles
        # training data.
        padding = latent[:1].repeat(-n % size, axis=0)
        latent = np.concatenate([latent, padding])
        batches = [
            self.predict_on_batch(latent[i : i + size])
            for i in range(0, len(latent), size)
        ]
        return np.concatenate(batches)[:n]

    def velocity(self, x):
        """Returns `grad V(x)`, the direction in which samples move.

        Args:
            x: Array `(n, *sample_shape)`.

        Returns:
            A NumPy array of the same shape.
        """
        fake_output = self._reference_output()
        gradient = gradients.input_gradient(
            lambda x: self.potential_of(
                self.discriminator(x, training=False), fake_output
            ),
            ops.cast(x, "float32"),
        )
        return ops.convert_to_numpy(ops.stop_gradient(gradient))


def _computes_in_float16(*networks):
    return any(
        layer.compute_dtype == "float16"
        for network in networks
        for layer in network._flatten_layers()
    )
