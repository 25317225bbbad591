"""How a flow model judges held-out data."""

import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_monoflow import gradients
from keras_monoflow.data import at_first_epoch, can_be_read_again, is_array
from keras_monoflow.models.batch import Batch
from keras_monoflow.models.data_checks import check_has_rows
from keras_monoflow.models.fitting import labels_with
from keras_monoflow.models.further_terms import FurtherTerms
from keras_monoflow.models.label_checks import check_label_range
from keras_monoflow.models.looking import looking
from keras_monoflow.numerics import at_least_float32
from keras_monoflow.typing import Tensor


class Evaluation(keras.Model):
    """The part of a `FlowModel` that evaluates.

    It reads `_field`, which judges samples, `_round`, which keeps the logs,
    `draw`, `discriminate`, `flow_potential`, `evaluation_seed`,
    `distribution_metrics`, and `_seen`, what is looked at of data.
    """

    def test_step(self, *arguments: Any) -> Any:
        return gradients.test_step(self, self._evaluate_on, arguments)

    def _evaluate_on(self, data):
        batch = self._batch(data)
        rows = ops.shape(batch.samples)[0]
        generated = at_least_float32(
            self.draw(rows, self.evaluation_seed, batch.labels)
        )
        real = ops.cast(batch.samples, generated.dtype)
        batch = Batch(real, batch.labels, weights=batch.weights)
        terms = FurtherTerms(self._round, batch, training=False)
        losses = {
            **self._field.losses(batch, generated),
            **terms.values(generated),
        }
        count = rows if batch.weights is None else ops.sum(batch.weights)
        self._round.add_means(count, losses)
        return self._round.logs(without=self._field.training_logs)

    def discriminator_objective(
        self, real: Tensor, generated: Tensor, labels: Tensor | None = None
    ) -> Tensor:
        """Returns what the discriminator minimizes, in inference mode and
        without penalties: a scalar tensor.

        Args:
            real: Tensor of real samples.
            generated: Tensor of generated samples.
            labels: The labels of both, for a conditional model.
        """
        self._check_compiled("discriminator_objective")
        outputs = self.discriminate(real, generated, labels)
        return self.flow_potential.objective(*outputs, real, generated)

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """As in Keras, and with distribution metrics.

        The generated samples are the same in every call, and so are the
        batches of a data set with `set_epoch`, those of epoch 0. Training goes
        on as if it had not been called. If the model was trained with
        `keras_monoflow.callbacks.DistributionMetrics`, their values on `x` come
        after the losses; a generator, which can be read only once, is left to
        the losses, with a warning.
        """
        self._check_compiled("evaluate")
        check_has_rows(x)
        if self.conditional and is_array(y):
            check_label_range(y, self._networks())
        labels = labels_with(sample_weight, y)
        with looking(self, seed=0), at_first_epoch(x):
            state = self.evaluation_seed.state
            state.assign(np.array([0, 0], dtype="int64"))
            results = super().evaluate(
                x,
                labels,
                batch_size=batch_size,
                verbose=verbose,
                sample_weight=sample_weight,
                **kwargs,
            )
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
        values = callback.evaluate(self, *self._seen(x, y), sample_weight)
        if isinstance(results, dict):
            return {**results, **values}
        return [*np.atleast_1d(results), *values.values()]

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """As in Keras; training goes on as if it had not been called."""
        self._check_compiled("test_on_batch")
        with looking(self):
            return super().test_on_batch(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """As in Keras; training goes on as if it had not been called."""
        with looking(self):
            return super().predict(*args, **kwargs)

    def predict_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """As in Keras; training goes on as if it had not been called."""
        with looking(self):
            return super().predict_on_batch(*args, **kwargs)

    def make_test_function(self, force: bool = False) -> Any:
        return self._remake(
            "test_function",
            super().make_test_function,
            gradients.make_test_function,
            force,
        )

    def make_predict_function(self, force: bool = False) -> Any:
        return self._remake(
            "predict_function",
            super().make_predict_function,
            gradients.make_predict_function,
            force,
        )

    def _remake(self, name, make, replace, force):
        """Lets Keras `make` a function, and has it replaced if it is new."""
        made = getattr(self, name)
        make(force)
        function = getattr(self, name)
        if function is not made:
            setattr(self, name, replace(self, function))
        return getattr(self, name)
