"""The base of all models that train a generator against a discriminator."""

import warnings

import keras
import numpy as np
from keras import ops

from keras_monoflow import gradients, penalties
from keras_monoflow.models import checks
from keras_monoflow.models.fitting import callbacks_for
from keras_monoflow.models.prior import Prior
from keras_monoflow.numerics import at_least_float32
from keras_monoflow.optimizers import PairOptimizer, scale_losses


class AdversarialModel(keras.Model):
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
        checks.check_network(discriminator, "discriminator")
        latent_shape = checks.latent_shape(generator)
        checks.check_shapes(generator, discriminator)
        self.generator = generator
        self.discriminator = discriminator
        for network in (generator, discriminator):
            gradients.use_seed_states(network)
        self.prior = Prior(prior, latent_shape)
        self.latent_shape = latent_shape
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed, name="noise")
        self.evaluation_seed = keras.random.SeedGenerator(0, name="evaluation")
        self._log_means = _LogMeans()
        self.built = True

    def call(self, latent, training=False):
        """Maps latent points to samples."""
        return self.generator(latent, training=training)

    # ------------------------------------------------------------- compile

    def _compile(
        self,
        generator_optimizer,
        discriminator_optimizer,
        penalty,
        discriminator_steps,
        split_batch,
        persistency,
        step_size,
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
        self.discriminator_steps = checks.check_count(
            discriminator_steps, "discriminator_steps"
        )
        self.split_batch = bool(split_batch)
        self.persistency = checks.check_count(persistency, "persistency")
        self.step_size = checks.check_step_size(step_size)
        self.reuse_generated = bool(reuse_generated)
        self._log_means = _LogMeans(
            [*log_names, "penalty"] if self.penalties else log_names
        )
        optimizer = PairOptimizer(generator_optimizer, discriminator_optimizer)
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

    def _log_outputs(self, batch, real_output, fake_output):
        """Logs what else the outputs tell, such as log ratios."""

    # --------------------------------------------------------- one round

    def train_step(self, *arguments):
        return gradients.train_step(self, self._round, arguments)

    def _round(self, data):
        """Discriminator steps, then the generator follows the flow.

        The generator's part is the persistent step of W1-FE (arXiv 2405.16351,
        Algorithm 1) for any potential: one latent batch, one velocity, and
        `persistency` fits to the same moved samples.
        """
        real = self._real_batch(data)
        size = self._slice_size(real)
        if self.reuse_generated:
            latent, samples, pullback, commit = self._generate(size)

        def discriminator_step(i):
            if self.reuse_generated:
                generated = samples
            else:
                z = self.prior.draw(size, self.seed_generator)
                generated = self.generator(z, training=True)
            batch = self._slice(real, i, size)
            self._discriminator_step(batch, at_least_float32(generated))

        gradients.repeat(self.discriminator_steps, discriminator_step)
        if not self.reuse_generated:
            latent, samples, pullback, commit = self._generate(size)
        self._generator_step(latent, samples, pullback)
        commit()
        self.optimizer.count_round()
        return self._log_means.results()

    def _generate(self, size):
        """One generated batch, ready to be pulled back to the weights.

        The updates of the generator's state (batch statistics, dropout
        seeds) wait for `commit`: every fit of a round then sees the same
        state, and the statistics advance once a round.
        """
        latent = self.prior.draw(size, self.seed_generator)
        run = gradients.postpone_updates(
            lambda: gradients.value_and_pullback(
                lambda: self.generator(latent, training=True),
                self.generator.trainable_variables,
            )
        )
        (samples, pullback), commit = run
        return latent, samples, pullback, commit

    def _discriminator_step(self, real, generated):
        optimizer = self.optimizer.discriminator
        variables = self.discriminator.trainable_variables

        def loss_fn():
            real_output = self.discriminator(real, training=True)
            fake_output = self.discriminator(generated, training=True)
            loss = self.objective(real_output, fake_output)
            self._log(real, discriminator_loss=loss)
            self._log_outputs(real, real_output, fake_output)
            loss = loss + _regularization(self.discriminator)
            if self.penalties:
                penalty = self._penalty(real, generated)
                self._log(real, penalty=penalty)
                loss = loss + penalty
            return optimizer.scale_loss(loss)

        _, grads = gradients.value_and_grad(loss_fn, variables)
        gradients.apply_gradients(optimizer, grads, variables)

    def _penalty(self, real, generated):
        frozen = gradients.discard_updates(
            lambda x: self.discriminator(x, training=True)
        )
        seed = self.seed_generator
        return sum(p(frozen, real, generated, seed) for p in self.penalties)

    def _generator_step(self, latent, samples, pullback):
        y = at_least_float32(samples)
        potential, velocity = self._potential_and_velocity(y)
        speed = ops.sqrt(ops.sum(velocity**2, axis=_sample_axes(y)))
        self._log(
            y,
            generator_loss=-ops.mean(potential),
            velocity_norm=ops.mean(speed),
        )
        step = self._current_step_size() * velocity
        # The first fit reuses the forward pass that made y: the residual is
        # the step itself.
        n = ops.cast(ops.shape(y)[0], y.dtype)
        self._apply_to_generator(samples, -step / n, pullback)
        if self.persistency > 1:
            target = ops.stop_gradient(y + step)
            gradients.repeat(
                self.persistency - 1, lambda i: self._fit(latent, target)
            )

    def _potential_and_velocity(self, y):
        """`V(y)` of a frozen discriminator, and its gradient at each sample."""
        frozen = gradients.discard_updates(
            lambda x: self.discriminator(x, training=True)
        )
        return gradients.value_and_input_gradient(
            lambda x: self.potential_of(frozen(x)), y
        )

    def _fit(self, latent, target):
        """One optimizer step on `mean 1/2 |target - G(z)|^2`."""
        run = gradients.discard_updates(
            lambda: at_least_float32(self.generator(latent, training=True))
        )
        optimizer = self.optimizer.generator
        variables = self.generator.trainable_variables

        def loss_fn():
            squared = (target - run()) ** 2
            loss = ops.mean(ops.sum(squared, axis=_sample_axes(target))) / 2
            return optimizer.scale_loss(loss + _regularization(self.generator))

        _, grads = gradients.value_and_grad(loss_fn, variables)
        gradients.apply_gradients(optimizer, grads, variables)

    def _apply_to_generator(self, samples, cotangent, pullback):
        """One optimizer step along the pullback of a cotangent."""
        optimizer = self.optimizer.generator
        variables = self.generator.trainable_variables
        cotangent = optimizer.scale_loss(cotangent)
        grads = pullback(ops.cast(cotangent, samples.dtype))
        if any(v.regularizer is not None for v in variables):
            _, extra = gradients.value_and_grad(
                lambda: optimizer.scale_loss(_regularization(self.generator)),
                variables,
            )
            grads = [g + e for g, e in zip(grads, extra)]
        gradients.apply_gradients(optimizer, grads, variables)

    def _current_step_size(self):
        if callable(self.step_size):
            return self.step_size(self.optimizer.iterations)
        return self.step_size

    def _real_batch(self, data):
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        for extra in (y, weight):
            checks.check_unlabelled(extra, type(self).__name__)
        return ops.cast(x, "float32")

    def _slice_size(self, real):
        """How many samples one discriminator step sees."""
        size = ops.shape(real)[0]
        if not self.split_batch:
            return size
        steps = self.discriminator_steps
        if isinstance(size, int):
            checks.check_split(size, steps)
        return size // steps

    def _slice(self, real, i, size):
        if not self.split_batch:
            return real
        start = (i * size,) + (0,) * (len(real.shape) - 1)
        return ops.slice(real, start, (size, *real.shape[1:]))

    # --------------------------------------------------------- evaluation

    def test_step(self, *arguments):
        return gradients.test_step(self, self._evaluate_batch, arguments)

    def _evaluate_batch(self, data):
        real = self._real_batch(data)
        z = self.prior.draw(ops.shape(real)[0], self.evaluation_seed)
        generated = at_least_float32(self.generator(z, training=False))
        real_output = self.discriminator(real, training=False)
        fake_output = self.discriminator(generated, training=False)
        self._log(
            real,
            discriminator_loss=self.objective(real_output, fake_output),
            generator_loss=-ops.mean(self.potential_of(fake_output)),
        )
        self._log_outputs(real, real_output, fake_output)
        return self._log_means.results(without=("penalty", "velocity_norm"))

    def evaluate(self, *args, **kwargs):
        """As in Keras. The generated samples are the same in every call."""
        seed = self.evaluation_seed
        seed.state.assign(np.array([0, 0], dtype="int64"))
        return super().evaluate(*args, **kwargs)

    # ---------------------------------------------------------- using it

    def fit(self, x=None, y=None, batch_size=None, *args, **kwargs):
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
        kwargs["callbacks"] = callbacks_for(x, kwargs.get("callbacks"))
        with gradients.keep_variables(self):
            return super().fit(x, y, batch_size, *args, **kwargs)

    def _check_data(self, x, y, batch_size):
        checks.check_unlabelled(y, type(self).__name__)
        smallest = checks.smallest_batch(x, batch_size)
        if self.split_batch and smallest is not None:
            checks.check_split(smallest, self.discriminator_steps)
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
        checks.check_count(n, "n")
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
        checks.check_count(batch_size, "batch_size")
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
        gradient = gradients.input_gradient(
            lambda x: self.potential_of(self.discriminator(x, training=False)),
            ops.cast(x, "float32"),
        )
        return ops.convert_to_numpy(ops.stop_gradient(gradient))

    # ------------------------------------------------- saving and resuming

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "generator": serialize(self.generator),
            "discriminator": serialize(self.discriminator),
            "prior": self.prior.serialize_spec(),
            "seed": self.seed,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for role in ("generator", "discriminator"):
            config[role] = keras.saving.deserialize_keras_object(
                config[role], custom_objects=custom_objects
            )
        return cls(**config)

    def get_compile_config(self):
        return self._compile_arguments() if self.compiled else {}

    def _compile_arguments(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "generator_optimizer": serialize(self.optimizer.generator),
            "discriminator_optimizer": serialize(self.optimizer.discriminator),
            "penalty": [serialize(p) for p in self.penalties],
            "discriminator_steps": self.discriminator_steps,
            "split_batch": self.split_batch,
            "persistency": self.persistency,
            "step_size": serialize(self.step_size),
            "reuse_generated": self.reuse_generated,
            **self._trainer_arguments,
        }

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))

    def save(self, filepath, *args, **kwargs):
        """As in Keras; raises before it writes if something cannot be saved."""
        self._check_savable()
        return super().save(filepath, *args, **kwargs)

    def _check_savable(self):
        for thing, argument in self._user_objects():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                registered = checks.check_registered(thing, argument)
            if not registered:
                raise ValueError(
                    f"The {argument} {thing!r} is not registered with Keras, "
                    "so a saved model could not be loaded. Decorate it with "
                    "`@keras.saving.register_keras_serializable()`, or save "
                    "weights only with `save_weights`. Nothing was written."
                )

    def _user_objects(self):
        """Functions that a user may have passed, with the argument's name."""
        prior = self.prior.spec
        return (
            []
            if prior is None or isinstance(prior, str)
            else [(prior, "prior")]
        )

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store["shapes"] = self._network_shapes()
        # Keras leaves the state of random seeds out of files.
        for i, seed in enumerate(self._seed_states()):
            store[f"seed_{i}"] = ops.convert_to_numpy(seed.value)

    def load_own_variables(self, store):
        saved = np.array(store["shapes"]) if "shapes" in store else None
        if saved is None or not np.array_equal(saved, self._network_shapes()):
            raise ValueError(
                f"The file holds the weights of other networks than those of "
                f"{self.name!r}: the shapes of generator and discriminator "
                "weights differ. Build the networks as they were when the "
                "file was written, or resume in another folder."
            )
        for i, seed in enumerate(self._seed_states()):
            seed.assign(np.array(store[f"seed_{i}"]))

    def _seed_states(self):
        weights = {id(w) for w in self.weights}
        return [v for v in self.variables if id(v) not in weights]

    def _network_shapes(self):
        """The ranks and shapes of all weights as one list of integers."""
        weights = [*self.generator.weights, *self.discriminator.weights]
        return np.array(
            [n for w in weights for n in (len(w.shape), *w.shape)], "int64"
        )


class _LogMeans:
    """The running means of one compile, hidden from Keras's tracking."""

    def __init__(self, names=()):
        self.metrics = [keras.metrics.Mean(name=name) for name in names]

    def __getitem__(self, name):
        return next(m for m in self.metrics if m.name == name)

    def results(self, without=()):
        return {
            m.name: m.result() for m in self.metrics if m.name not in without
        }


def _computes_in_float16(*networks):
    return any(
        layer.compute_dtype == "float16"
        for network in networks
        for layer in network._flatten_layers()
    )


def _regularization(network):
    """The weight regularization losses of a network, a float32 scalar."""
    total = ops.zeros((), "float32")
    for v in network.trainable_variables:
        if v.regularizer is not None:
            total = total + ops.cast(v.regularizer(v.value), "float32")
    return total


def _sample_axes(x):
    return tuple(range(1, len(x.shape)))
