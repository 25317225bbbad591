"""Distances between data and generated samples at the end of epochs."""

import keras
import numpy as np

from keras_monoflow.arguments import check_integer
from keras_monoflow.metrics import DistributionMetric


@keras.saving.register_keras_serializable("keras_monoflow")
class DistributionMetrics(keras.callbacks.Callback):
    """Writes distribution metrics into the logs at the end of epochs.

    The value of each metric becomes the log `val_<name>`. `fit` of the
    package's models moves this callback to the front, wherever it stands in
    the list, so that all others see the values: `ModelCheckpoint(monitor=
    "val_frechet_distance", mode="min", save_best_only=True)`, `EarlyStopping`,
    `ReduceLROnPlateau`, `CSVLogger`, `TensorBoard`, KerasTuner. Say `mode`:
    Keras cannot know which direction is better.

    The real samples are those of `validation_data`, else those that the model
    is trained on: at most `samples` of them, always the same ones. They are
    compared with as many samples of the model from one seed; in a conditional
    model with the same labels. The noise of the training is left alone.

    After `fit`, `model.evaluate(data)` returns the metrics too, on the data
    that it is given. A saved model keeps them.

    Args:
        metrics: A `keras_monoflow.metrics.DistributionMetric`, or a list.
        every: Integer, they are computed every that many epochs; in between,
            the logs hold NaN.
        samples: Integer, the largest number of samples to compare. Values for
            different numbers cannot be compared.
        seed: Integer, the seed of the generated samples and of the choice
            of the real ones.
        real: Array of real samples to use in place of those of `fit`; needed
            where these come from a generator that can be read only once.

    Raises:
        TypeError: If a metric is of another class.
        ValueError: If two metrics have the same name, or a number is out of
            range.

    Example:

    ```python
    import keras_monoflow as kmf

    callback = kmf.callbacks.DistributionMetrics(
        [kmf.metrics.WassersteinDistance()], every=5, samples=500
    )
    # gan.fit(data, epochs=100, validation_data=test, callbacks=[callback])
    ```
    """

    def __init__(self, metrics, every=1, samples=1000, seed=0, real=None):
        super().__init__()
        self.metrics = _check_metrics(metrics)
        self.every = check_integer("every", every, minimum=1)
        self.samples = check_integer("samples", samples, minimum=1)
        self.seed = check_integer("seed", seed, minimum=0)
        self._own = None if real is None else self.choose(real)
        self._chosen = self._own

    def use_data(self, x, y, validation_data):
        """Takes the real samples from the arguments of `fit`."""
        if self._own is not None:
            return
        if validation_data is not None:
            x, y, _ = keras.utils.unpack_x_y_sample_weight(validation_data)
        self._chosen = self.choose(x, y)

    def on_epoch_end(self, epoch, logs=None):
        due = (epoch + 1) % self.every == 0
        names = [metric.name for metric in self.metrics]
        values = dict.fromkeys(names, float("nan"))
        if due:
            values = self.measure(self.model, self._chosen)
        logs.update({f"val_{name}": v for name, v in values.items()})

    def choose(self, x, y=None):
        """Returns at most `samples` real samples, and their labels or `None`.

        Of arrays some rows are picked by the seed; of other data the first
        ones are taken.
        """
        if hasattr(x, "shape"):
            rows = slice(None)
            if len(x) > self.samples:
                rng = np.random.default_rng(self.seed)
                rows = np.sort(rng.permutation(len(x))[: self.samples])
            x, y = _numpy(x), None if y is None else _numpy(y)
            return x[rows], None if y is None else y[rows]
        if isinstance(x, keras.utils.PyDataset):
            batches = (x[i] for i in range(x.num_batches))
        elif hasattr(x, "__iter__") and not hasattr(x, "__next__"):
            batches = x
        else:
            raise ValueError(
                "DistributionMetrics cannot take samples from data that can be "
                f"read only once. Pass it an array as `real`. Received: {x!r}."
            )
        return self._first(batches)

    def _first(self, batches):
        xs, ys = [], []
        for batch in batches:
            x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
            xs.append(_numpy(x))
            ys.append(y if y is None else _numpy(y))
            if sum(map(len, xs)) >= self.samples:
                break
        labels = None if ys[0] is None else np.concatenate(ys)[: self.samples]
        return np.concatenate(xs)[: self.samples], labels

    def measure(self, model, chosen):
        """Returns the values of the metrics by name.

        Args:
            model: A model of the package.
            chosen: What `choose` returned.
        """
        real, labels = chosen
        more = {} if labels is None else {"labels": labels}
        generated = model.sample(len(real), seed=self.seed, **more)
        if not np.isfinite(generated).all():
            # A diverged run is for `TerminateOnNaN` to end.
            return {metric.name: float("nan") for metric in self.metrics}
        return {
            metric.name: float(metric(real, generated))
            for metric in self.metrics
        }

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "metrics": [serialize(metric) for metric in self.metrics],
            "every": self.every,
            "samples": self.samples,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        metrics = keras.saving.deserialize_keras_object(config["metrics"])
        return cls(**{**config, "metrics": metrics})


def _check_metrics(metrics):
    metrics = metrics if isinstance(metrics, (list, tuple)) else [metrics]
    for metric in metrics:
        if not isinstance(metric, DistributionMetric):
            raise TypeError(
                "`metrics` must be `keras_monoflow.metrics.DistributionMetric`s"
                f", such as WassersteinDistance(). Received: {metric!r}."
            )
    names = [metric.name for metric in metrics]
    if len(set(names)) < len(names) or not names:
        raise ValueError(
            "`metrics` must have names that differ, and be at least one. "
            f"Received: {names}. Pass `name=` to tell them apart."
        )
    return list(metrics)


def _numpy(x):
    return keras.ops.convert_to_numpy(x)
