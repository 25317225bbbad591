"""A moving average of the generator's weights."""

import keras
from keras import ops

from keras_monoflow.models import checks


class AveragesGenerator:
    """The part of an adversarial model that keeps an averaged generator.

    After each round `t` in which the generator learnt, counted from 0, all its
    weights `w` and batch statistics go into the average,

        a <- d a + (1 - d) w,    d = min(ema, (1 + t) / (10 + t)).

    The smaller decay at the beginning forgets the initial weights soon.
    """

    def _set_average(self, ema):
        """Starts, goes on with, or stops averaging, as `compile` says."""
        starts = ema is not None and self.ema is None
        self.ema = checks.check_decay(ema)
        if starts and self._averaged is None:
            self._averaged = _copy(self.generator)
        elif starts:
            self._averaged.set_weights(self.generator.get_weights())

    @property
    def averaged_generator(self):
        """The averaged generator, or `None` without `ema`."""
        return None if self.ema is None else self._averaged

    def _average(self):
        if self.ema is None:
            return
        learnt = ops.cast(self._rounds, "float32") - self.discriminator_warmup
        decay = ops.minimum(self.ema, (1.0 + learnt) / (10.0 + learnt))
        for average, weight in zip(
            self._averaged.weights, self.generator.weights
        ):
            if keras.backend.is_float_dtype(weight.dtype):
                average.assign(average + (1.0 - decay) * (weight - average))
            else:
                average.assign(weight)

    @property
    def _best_generator(self):
        """What samples come from, unless told otherwise."""
        return self.generator if self.ema is None else self._averaged


def _copy(network):
    """Returns a network of the same kind and weights that is not trained."""
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(network)
    )
    copy.set_weights(network.get_weights())
    copy.trainable = False
    if inputs := getattr(copy, "inputs", None):
        # Keras writes no model that was never called to ONNX.
        copy(inputs if len(inputs) > 1 else inputs[0])
    return copy
