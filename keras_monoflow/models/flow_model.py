"""The base of all models whose samples follow a discriminator."""

import warnings

import keras
import numpy as np
from keras import ops

from keras_monoflow import gradients, penalties
from keras_monoflow.arguments import check_integer
from keras_monoflow.backend import processes, replicas
from keras_monoflow.callbacks import DistributionMetrics
from keras_monoflow.callbacks.held_out import HeldOut, can_be_read_again
from keras_monoflow.callbacks.tensorboard import connect
from keras_monoflow.models import checks, sharing
from keras_monoflow.models.fitting import as_list, callbacks_for, split_off
from keras_monoflow.models.logs import LogMeans
from keras_monoflow.models.refining import Refines
from keras_monoflow.models.rounds import TrainsInRounds, with_labels
from keras_monoflow.models.saving import SavesEverything
from keras_monoflow.numerics import at_least_float32
from keras_monoflow.optimizers import scale_losses


class FlowModel(TrainsInRounds, Refines, SavesEverything, keras.Model):
    """Samples that climb the potential of a discriminator.

    Subclasses say what the discriminator minimises (`objective`), which
    scalar *potential* `V(x)`, high where data are, samples climb
    (`potential_of`), which samples there are (`_draw`), how they move
    (`_move_samples`), and what `compile` takes.

    Args:
        networks: Dictionary of built `keras.Model`s by attribute name. One is
            the `discriminator`, from samples to `(batch, 1)` or `(batch,)`.
        seed: Integer seed of all noise that training draws, or `None`.
        name: Name of the model.
    """

    #: What arguments, logs and files call the discriminator.
    role = "discriminator"

    #: The largest number of samples, where there is one.
    most_samples = None

    #: Whether the networks take labels beside their inputs.
    conditional = False

    def __init__(self, networks, seed=None, name=None):
        super().__init__(name=name)
        for attribute, network in networks.items():
            is_critic = attribute == "discriminator"
            argument = self.role if is_critic else attribute
            checks.check_network(network, argument)
            gradients.use_seed_states(network)
            setattr(self, attribute, network)
        checks.check_one_output(self.discriminator, self.role)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed, name="noise")
        self.evaluation_seed = keras.random.SeedGenerator(0, name="evaluation")
        self._log_means = LogMeans()
        #: The `DistributionMetrics` of the last `fit` that had them.
        self.distribution_metrics = None
        self.built = True

    def _discriminator_networks(self):
        """The networks that the discriminator's optimizer trains."""
        return [self.discriminator]

    def _discriminator_variables(self):
        networks = self._discriminator_networks()
        return [v for n in networks for v in n.trainable_variables]

    # ------------------------------------------------------------- compile

    def _compile(
        self,
        optimizer,
        penalty,
        discriminator_steps,
        split_batch,
        discriminator_warmup,
        step_size,
        normalize_velocity,
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
        self.step_size = checks.check_step_size(step_size)
        self.normalize_velocity = bool(normalize_velocity)
        log_names = [*log_names, "velocity_norm"]
        log_names += ["penalty"] if self.penalties else []
        self._log_means = LogMeans(log_names)
        self._trainer_arguments = dict(kwargs)
        super().compile(optimizer=optimizer, auto_scale_loss=False, **kwargs)

    def _scaled_for_float16(self, optimizer):
        """Wraps an optimizer in loss scaling if a network needs it."""
        needs_it = in_float16(self._networks())
        return scale_losses(optimizer) if needs_it else optimizer

    @property
    def metrics(self):
        return self._log_means.metrics

    def _log(self, batch, **values):
        """Adds values of one batch to the means that `fit` reports."""
        size = ops.cast(ops.shape(batch)[0], "float32")
        for name, value in values.items():
            self._log_means[name].update_state(value, sample_weight=size)

    def make_train_function(self, force=False):
        made = self.train_function
        super().make_train_function(force)
        if self.train_function is not made:
            self.train_function = gradients.make_train_function(
                self, self.train_function
            )
        return self.train_function

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
        real, labels = self._real_batch(data)
        n = ops.shape(real)[0]
        generated = at_least_float32(
            self._draw(n, self.evaluation_seed, labels, training=False)
        )
        self._discriminator_loss(real, generated, labels, training=False)
        inputs = with_labels(generated, labels)
        output = self.discriminator(inputs, training=False)
        self._log(real, generator_loss=-ops.mean(self.potential_of(output)))
        return self._log_means.results(
            without=("penalty", "velocity_norm", "regression_loss")
        )

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """As in Keras, and with distribution metrics.

        The generated samples are the same in every call. If the model was
        trained with `keras_monoflow.callbacks.DistributionMetrics`, their
        values on `x` come after the losses; a generator, which can be read
        only once, is left to the losses, with a warning.
        """
        seed = self.evaluation_seed
        seed.state.assign(np.array([0, 0], dtype="int64"))
        results = super().evaluate(x, y, *args, **kwargs)
        callback = self.distribution_metrics
        if callback is None or "_use_cached_eval_dataset" in kwargs:
            # The validation during `fit`, to which the callback adds by itself.
            return results
        if not can_be_read_again(x):
            warnings.warn(
                "`evaluate` leaves out the distribution metrics: the losses "
                f"used up the data, which can be read only once: {x!r}",
                stacklevel=2,
            )
            return results
        values = callback.measure(self, callback.choose(x, y))
        if isinstance(results, dict):
            return {**results, **values}
        return [*np.atleast_1d(results), *values.values()]

    # ---------------------------------------------------------- using it

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_data=None,
        **kwargs,
    ):
        """Trains on samples `x`, as `keras.Model.fit` does.

        A conditional model takes their labels as `y`, or a data set of pairs.

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
        self._check_replicas(x, batch_size or 32)
        callbacks = sharing.in_processes(callbacks)
        if hasattr(x, "set_epoch"):
            # The order is the data set's own business.
            kwargs["shuffle"] = False
        held_out = validation_data
        if held_out is None:
            held_out = split_off(x, y, kwargs.get("validation_split"))
        connect(as_list(callbacks))
        for callback in as_list(callbacks):
            if isinstance(callback, HeldOut):
                callback.use_data(x, y, held_out)
            if isinstance(callback, DistributionMetrics):
                self.distribution_metrics = callback
        with processes.explaining(), gradients.keep_variables(self):
            return super().fit(
                x,
                y,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks_for(x, callbacks),
                validation_data=validation_data,
                **kwargs,
            )

    def _check_data(self, x, y, batch_size):
        if checks.is_array(x):
            checks.check_labels(y, self.conditional, type(self).__name__)
            if y is not None:
                checks.check_label_range(y, self._networks())
        smallest = checks.smallest_batch(x, batch_size)
        if self.split_batch and smallest is not None:
            checks.check_split(smallest, self.discriminator_steps, self.role)
        shape = checks.input_shape(self.discriminator, self.role)
        if checks.check_data(x, shape, batch_size):
            self._warn_in_bytes()

    def _check_replicas(self, x, batch_size):
        replicas.check_strategy(self)
        count = replicas.expected(self)
        if count > 1:
            for argument, optimizer in self._optimizers().items():
                sharing.check_clipping(optimizer, argument)
            sharing.check_separable(self._whole_batch_parts(), count)
            sharing.check_shares(x, batch_size, count // processes.count())

    def _optimizers(self):
        """The optimizers by the names of their arguments of `compile`."""
        return {f"{self.role}_optimizer": self._discriminator_optimizer}

    def _whole_batch_parts(self):
        """What cannot be computed from the parts of a batch, as arguments."""
        return []

    def _warn_in_bytes(self):
        if not getattr(self, "_warned_in_bytes", False):
            warnings.warn(checks.IN_BYTES, stacklevel=4)
        self._warned_in_bytes = True


def in_float16(networks):
    """Returns whether a layer of the networks computes in float16."""
    return any(
        layer.compute_dtype == "float16"
        for network in networks
        for layer in network._flatten_layers()
    )
