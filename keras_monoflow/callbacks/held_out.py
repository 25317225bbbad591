"""What callbacks that look at held-out samples have in common."""

import keras
import numpy as np

from keras_monoflow.arguments import check_integer
from keras_monoflow.metrics.base import to_numpy

#: How the logs begin that are NaN in epochs in which they are not computed.
RESTING_LOGS = ("val_", "flow_")


class HeldOut(keras.callbacks.Callback):
    """Base class: adds values from held-out samples to the logs of epochs.

    `fit` of the package's models hands over its data, and moves these callbacks
    to the front, so that all others see what they add. A subclass writes
    `values(epoch)`.

    Args:
        every: Integer, values are computed every that many epochs; in between,
            the logs hold NaN.
        samples: Integer, the largest number of real samples.
        seed: Integer, the seed of the generated samples and of the choice
            of the real ones.
        real: Array of real samples to use in place of those of `fit`; needed
            where these come from a generator that can be read only once.
    """

    adds_to_logs = True

    def __init__(self, every, samples, seed, real):
        super().__init__()
        self.every = check_integer("every", every, minimum=1)
        self.samples = check_integer("samples", samples, minimum=1)
        self.seed = check_integer("seed", seed, minimum=0)
        self._is_own = real is not None
        #: The real samples, and their labels or `None`.
        self.chosen = self.choose(real) if self._is_own else None
        self._names = []

    def values(self, epoch):
        """Returns what to add to the logs of an epoch, a dictionary."""
        raise NotImplementedError

    def use_data(self, x, y, validation_data):
        """Takes the real samples from the arguments of `fit`."""
        if self._is_own:
            return
        if validation_data is not None:
            x, y, _ = keras.utils.unpack_x_y_sample_weight(validation_data)
        self.chosen = self.choose(x, y)

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every == 0:
            values = self.values(epoch)
            self._names = list(values)
        else:
            values = dict.fromkeys(self._names, float("nan"))
        logs.update(values)

    def at_most(self, model, chosen):
        """Returns as many of the chosen samples as the model can generate."""
        real, labels = chosen
        n = getattr(model, "max_samples", None)
        return real[:n], None if labels is None else labels[:n]

    def generate(self, model, chosen):
        """Returns as many generated samples as real ones, of their labels."""
        real, labels = chosen
        more = {} if labels is None else {"labels": labels}
        return model.sample(len(real), seed=self.seed, **more)

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
            x, y = to_numpy(x), None if y is None else to_numpy(y)
            return x[rows], None if y is None else y[rows]
        if not can_be_read_again(x):
            raise ValueError(
                f"{type(self).__name__} cannot take samples from data that can "
                "be read only once. Pass it an array as `real`. Received: "
                f"{x!r}."
            )
        if isinstance(x, keras.utils.PyDataset):
            return self._first(x[i] for i in range(x.num_batches))
        return self._first(x)

    def _first(self, batches):
        xs, ys = [], []
        for batch in batches:
            x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
            xs.append(to_numpy(x))
            ys.append(y if y is None else to_numpy(y))
            if sum(map(len, xs)) >= self.samples:
                break
        labels = None if ys[0] is None else np.concatenate(ys)[: self.samples]
        return np.concatenate(xs)[: self.samples], labels


def can_be_read_again(x):
    """Returns whether looking at samples leaves them to the next who looks."""
    if hasattr(x, "shape") or isinstance(x, keras.utils.PyDataset):
        return True
    return hasattr(x, "__iter__") and not hasattr(x, "__next__")
