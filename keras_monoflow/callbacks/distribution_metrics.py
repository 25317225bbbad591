"""Distances between data and generated samples at the end of epochs."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
import numpy as np

from keras_monoflow.callbacks.held_out import HeldOut
from keras_monoflow.data import first_labels
from keras_monoflow.metrics import DistributionMetric, get
from keras_monoflow.typing import Array, ArrayLike, Config

#: One metric or several, or their names.
Metrics: TypeAlias = (
    str | DistributionMetric | Sequence[str | DistributionMetric]
)


@keras.saving.register_keras_serializable("keras_monoflow")
class DistributionMetrics(HeldOut):
    """Writes distribution metrics into the logs at the end of epochs.

    The value of each metric becomes the log `val_<name>`. `fit` of the
    package's models moves this callback to the front, wherever it stands in
    the list, so that all others see the values: `ModelCheckpoint(path,
    monitor="val_frechet_distance", mode="min", save_best_only=True)`,
    `EarlyStopping`, `ReduceLROnPlateau`, `CSVLogger`, `TensorBoard`,
    KerasTuner. Say `mode`: Keras cannot know which direction is better.

    The real samples are those of `validation_data`, else those that the model
    is trained on: at most `samples` of them, always the same ones. They are
    compared with as many samples of the model from one seed; in a conditional
    model with the same labels. The noise of the training is left alone.

    After `fit`, `model.evaluate(data)` returns the metrics too, on the data
    that it is given. A saved model keeps them, with the weights of the networks
    that they look through. So `fit` takes one such callback, of all metrics.

    Args:
        metrics: A `keras_monoflow.metrics.DistributionMetric`, a name such as
            `"wasserstein_distance"`, or a list of these.
        every: Integer, the number of epochs from one computation to the next;
            in between, the logs hold NaN.
        samples: Integer, the largest number of samples to compare. Values for
            different numbers cannot be compared.
        seed: Integer, the seed of the generated samples and of the choice
            of the real ones.
        real: Array of real samples to use in place of those of `fit`; needed
            where these come from a generator that can be read only once.

    Raises:
        TypeError: If a metric is of another class.
        ValueError: If two metrics have the same name, a number is out of
            range, or the data of `fit` can be read only once.

    Example:

    ```python
    import keras_monoflow as kmf

    callback = kmf.callbacks.DistributionMetrics(
        [kmf.metrics.WassersteinDistance()], every=5, samples=500
    )
    # gan.fit(data, epochs=100, validation_data=test, callbacks=[callback])
    ```
    """

    measures_samples = True

    def __init__(
        self,
        metrics: Metrics,
        every: int = 1,
        samples: int = 1000,
        seed: int = 0,
        real: ArrayLike | None = None,
    ) -> None:
        super().__init__(every, samples, seed, real)
        self.metrics = _check_metrics(metrics)
        self._names = [f"val_{metric.name}" for metric in self.metrics]
        # (Where a stream has the labels, they are not known.)
        self._has_class_numbers = True

    def log_names(self, model: Any = None) -> list[str]:
        """Returns the names of all logs, for epochs before the first look."""
        return list(self._names)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        real, labels = self._known(self.held_out)
        if labels is None and self._needs_labels():
            raise ValueError(
                "`DistributionMetrics(real=...)` has no labels for `real`, and "
                "those of this model are not class numbers, which it could "
                "draw. Leave out `real`, and pass `validation_data=(x, y)` to "
                "`fit`."
            )
        real, _ = self.as_many(self.model, real, labels)
        for metric in self.metrics:
            # Most metrics find out what is wrong with samples in computing.
            try:
                metric(real, real)
            except ValueError as error:
                raise ValueError(
                    f"`DistributionMetrics` cannot compute {metric.name!r} of "
                    f"{len(real)} samples: {error}"
                ) from error

    def use_data(self, x: Any, y: Any, validation_data: Any) -> None:
        super().use_data(x, y, validation_data)
        if not self._takes_data_of_fit:
            self._has_class_numbers = first_labels(x, y, count=1) is None

    def _needs_labels(self) -> bool:
        """Whether the model cannot draw labels by itself."""
        if not getattr(self.model, "conditional", False):
            return False
        known = self.model.labels
        may_draw = known.may_be_numbers and self._has_class_numbers
        return not known.seen and not may_draw

    def values(self, epoch: int) -> dict[str, float]:
        values = self.measure(self.model, self.held_out)
        return {f"val_{name}": value for name, value in values.items()}

    def evaluate(
        self, model: Any, x: Any, y: Any = None, weight: Any = None
    ) -> dict[str, float]:
        """Returns the values of the metrics by name, on the data of
        `model.evaluate(x, y, sample_weight=weight)`."""
        return self.measure(model, self.choose(x, y, weight))

    def saved_weights(self) -> dict[str, Any]:
        """Returns the weights of the networks that the metrics look through,
        by their names in the files of a model."""
        return {
            f"metric_{i}_{j}": weight
            for i, metric in enumerate(self.metrics)
            for j, weight in enumerate(getattr(metric, "saved_weights", []))
        }

    def measure(
        self, model: Any, held_out: tuple[Array, Array | None] | None
    ) -> dict[str, float]:
        """Returns the values of the metrics by name.

        Args:
            model: A model of the package.
            held_out: What `choose` returned.
        """
        real, generated, _ = self.compared(model, held_out)
        if not np.isfinite(generated).all():
            # A diverged run is for `TerminateOnNaN` to end.
            return {metric.name: float("nan") for metric in self.metrics}
        return {
            metric.name: float(metric(real, generated))
            for metric in self.metrics
        }

    def get_config(self) -> Config:
        serialize = keras.saving.serialize_keras_object
        return {
            "metrics": [serialize(metric) for metric in self.metrics],
            "every": self.every,
            "samples": self.samples,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: Config) -> "DistributionMetrics":
        metrics = keras.saving.deserialize_keras_object(config["metrics"])
        return cls(**{**config, "metrics": metrics})


def _check_metrics(metrics: Metrics) -> list[DistributionMetric]:
    metrics = get(metrics)
    names = [metric.name for metric in metrics]
    if len(set(names)) < len(names) or not names:
        raise ValueError(
            "`metrics` must be at least one, with different names. "
            f"Received: {names}. Pass `name=` to tell them apart."
        )
    return metrics
