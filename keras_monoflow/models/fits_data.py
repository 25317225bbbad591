"""What a flow model makes of data, and how it trains on them."""

import warnings
from typing import Any

import keras
from keras import ops

from keras_monoflow import gradients
from keras_monoflow.backend import keras_internals, processes
from keras_monoflow.data import rows_of_data
from keras_monoflow.datasets.shuffled_dataset import ShuffledDataset
from keras_monoflow.models import (
    data_checks,
    fit_checks,
    fitting,
    label_checks,
    network_checks,
    several_processes,
    weight_checks,
)
from keras_monoflow.models.batch import Batch
from keras_monoflow.models.learning_check import LearningCheck


class FitsData(keras.Model):
    """The part of a `FlowModel` that takes data.

    It reads what the model is (`parts`, `conditions`, `conditional`, `labels`,
    `packs`, `sample_shape`, `sample_owner`, `role`), and what `compile` has
    chosen (`choices`, `flow_potential`, `penalties`, `generator_terms`,
    `_field`).
    """

    parts: Any
    conditions: Any
    conditional: bool
    packs: Any
    role: str
    choices: Any
    flow_potential: Any
    penalties: list
    generator_terms: list
    sample_shape: Any
    sample_owner: Any
    _field: Any

    _has_learned = _looked_at_bytes = False

    def rows(self, x: Any, what: str = "`x`") -> Any:
        """Returns samples as one tensor or array: those of several parts as
        rows of all their numbers.

        Raises:
            ValueError: If they have other parts.
        """
        is_tree = isinstance(x, (dict, list, tuple))
        if self.parts.are_several and not is_tree:
            raise ValueError(
                f"{what} must have the parts that this {type(self).__name__} "
                f"makes, of shapes {self.parts.shapes}. Received: one "
                f"{type(x).__name__}."
            )
        if is_tree and not self.parts.are_several:
            data_checks.check_structure(x, type(self).__name__)
        return self.parts.join(x)

    def _batch(self, data):
        """Returns a `Batch` of what Keras hands to a step."""
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        x = self.rows(x)
        if weight is not None and not self.conditional:
            y = None  # It stands there because Keras wants one with weights.
        if (y is None) == self.conditional:
            label_checks.check_labels(y, self.conditional, type(self).__name__)
        if weight is not None:
            # (Keras repeats weights for each part of the conditions.)
            if not hasattr(weight, "shape"):
                weight = keras.tree.flatten(weight)[0]
            self.check_takes_weights()
            weight_checks.check_weights(weight)
            weight = ops.reshape(ops.cast(weight, "float32"), (-1,))
        # (Steps that run eagerly on JAX, and `train_on_batch`, get arrays.)
        labels = self.conditions.join(y)
        labels = None if y is None else ops.convert_to_tensor(labels)
        return Batch(
            ops.cast(x, "float32"),
            labels,
            weights=weight,
            mean_weight=self.mean_weight,
        )

    def check_takes_weights(self) -> None:
        """Checks that weights of samples can be meant.

        Raises:
            ValueError: If not.
        """
        reason = self._weights_refused()
        if reason is not None:
            raise ValueError(
                f"{type(self).__name__} takes no weights of samples with "
                f"{reason}. Repeat the samples that shall count more, or draw "
                "them more often."
            )

    def _weights_refused(self):
        if self.flow_potential is None:
            return "a velocity from samples"
        if self.packs.size > 1:
            return f"pack={self.packs.size}"
        if self.generator_terms:
            return "`generator_terms`"
        for penalty in self.penalties:
            if not penalty.takes_sample_weights:
                return f"the penalty {type(penalty).__name__}"
        return self.flow_potential.weights_refused(for_both=self.conditional)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_data: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains on samples `x`, as `keras.Model.fit` does.

        Samples are an array or, where the generator returns several tensors, a
        dictionary or list of arrays. A conditional model takes their labels as
        `y`, or a data set of pairs. With `sample_weight`, or `class_weight`
        and classes `y`, rows count as if they were drawn in proportion to their
        weights. Data sets yield `(samples, labels, weights)`; where these
        are no `kmf.datasets.ShuffledDataset`, their mean is not known, and that
        of each batch stands for it.

        The first batch is checked for shape, infinities and NaN. Data sets of
        the package whose order is a function of (seed, epoch) are told the
        epoch, so that a resumed run sees what the interrupted one would have.

        Raises:
            ValueError: If the model was not compiled, the data do not fit,
                weights cannot be meant, or the first batch gives NaN.
        """
        self._check_compiled("fit")
        callbacks = several_processes.for_this_process(callbacks)
        y, weight = self._weights_of(x, y, kwargs)
        # What is looked at are rows, whatever is trained on.
        seen, seen_y = self._seen(x, y)
        trained, held_out = (seen, seen_y, weight), validation_data
        if held_out is None:
            trained, held_out = fitting.split(
                *trained, kwargs.get("validation_split")
            )
        else:
            held_out = self._seen_pair(held_out)
        *known, of_trained = trained
        self._check_fit(known, batch_size or 32, callbacks, held_out)
        if isinstance(x, ShuffledDataset):
            of_trained = x.sample_weight
        self._take_for_granted(weight_checks.mean_weight(of_trained))
        if hasattr(x, "set_epoch"):
            # The order is the data set's own business.
            kwargs["shuffle"] = False
        elif fitting.is_stream(seen):
            # Keras would warn that it cannot shuffle it.
            kwargs.setdefault("shuffle", False)
        if held_out is None and weight is not None:
            held_out = seen, seen_y, weight
        fitting.introduce(callbacks, self, seen, seen_y, held_out)
        callbacks = fitting.callbacks_for(x, callbacks)
        alone = self.rounds_alone()
        if alone > 0 or not self._has_learned:
            self._has_learned = True
            check = LearningCheck(self._trained_networks(), max(alone, 0))
            callbacks = fitting.with_extra(callbacks, [check])
        # Keras keeps the epoch of a backup for all later calls of `fit`.
        keras_internals.set_initial_epoch(self, 0)
        y = fitting.labels_with(weight, y)
        is_triple = isinstance(validation_data, (tuple, list))
        if is_triple and len(validation_data) == 3:
            held_x, held_y, of_held = validation_data
            held_y = fitting.labels_with(of_held, held_y)
            validation_data = held_x, held_y, of_held
        with processes.explaining(), gradients.keep_variables(self):
            return super().fit(
                x,
                y,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                validation_data=validation_data,
                **kwargs,
            )

    def _weights_of(self, x, y, arguments):
        """Returns the labels, and the weights of samples of arrays or `None`.

        `class_weight` among the arguments of `fit` becomes `sample_weight`. The
        classes of a model without labels are for its weights alone.
        """
        weight = arguments.get("sample_weight")
        of_classes = arguments.pop("class_weight", None)
        if of_classes is not None:
            if weight is not None:
                raise ValueError(
                    "`sample_weight` and `class_weight` do not go together: "
                    "multiply the weights, and pass them as `sample_weight`."
                )
            weight = weight_checks.weights_of_classes(y, of_classes)
            y = y if self.conditional else None
        if weight is None:
            return y, None
        self.check_takes_weights()
        parts = keras.tree.flatten(x)
        is_known = all(hasattr(part, "shape") for part in parts)
        weight_checks.check_weights(weight, len(parts[0]) if is_known else None)
        weight = ops.convert_to_numpy(weight).astype("float32").reshape(-1)
        arguments["sample_weight"] = weight
        return y, weight

    def _seen(self, x, y):
        """Returns data as rows of samples and of conditions, to look at."""
        if not self.parts.are_several and not self.conditions.are_several:
            return x, y
        return rows_of_data(x, y, self.rows, self.conditions.join)

    def _seen_pair(self, data):
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        x, y = self._seen(x, y)
        if y is None and weight is None:
            return x
        return (x, y) if weight is None else (x, y, weight)

    def _check_fit(self, trained, batch_size, callbacks, held_out):
        """Checks all that `fit` can know before the first round, of the samples
        and labels that it trains on and of those held out."""
        x, y = trained
        for role, (_, networks) in self._trained_networks().items():
            if role != "generator" or self.rounds_alone() <= 0:
                network_checks.check_trainable(networks, role)
        self._check_data(x, y, batch_size)
        self._field.remember(x, y)
        several_processes.check_replicas(self, x, batch_size)
        validates = held_out is not None
        fit_checks.check_callbacks(self, callbacks, validates=validates)
        fit_checks.check_validation_data(self, held_out, batch_size)

    def rounds_alone(self) -> int:
        """For how many more rounds the discriminator learns alone. Until then
        the generator may be frozen. Below 0 once it has to learn."""
        if not self.discriminator_warmup:
            return 0
        rounds = int(ops.convert_to_numpy(self.rounds_counter))
        return self.discriminator_warmup - rounds

    def _check_data(self, x, y, batch_size):
        data_checks.check_structure(x, type(self).__name__)
        if data_checks.is_array(x):
            label_checks.check_labels(y, self.conditional, type(self).__name__)
            if y is not None:
                label_checks.check_label_range(y, self._networks())
        smallest = data_checks.smallest_batch(x, batch_size)
        if smallest is not None:
            steps = 1
            if self.choices.split_batch:
                steps = self.choices.discriminator_steps
                data_checks.check_split(smallest, steps, self.role)
            data_checks.check_packs(smallest // steps, self.packs.size)
        shape = self.sample_shape
        in_bytes = data_checks.check_data(
            x, shape, self.sample_owner, batch_size
        )
        fit_checks.check_finite(x, batch_size)
        if self._looked_at_bytes:
            return
        # Reading a stream takes time: images alone, and once.
        if len(shape) >= 2 and not in_bytes:
            in_bytes = data_checks.stream_in_bytes(x)
        if in_bytes:
            warnings.warn(data_checks.BYTE_RANGE_WARNING, stacklevel=3)
        self._looked_at_bytes = in_bytes or not data_checks.is_array(x)
