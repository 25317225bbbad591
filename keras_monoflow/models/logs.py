"""The running means that `fit` reports."""

import keras

from keras_monoflow.backend import processes, replicas


class LogMeans:
    """The running means of one compile, which Keras must not track."""

    def __init__(self, names=()):
        self.metrics = [keras.metrics.Mean(name=name) for name in names]

    def __getitem__(self, name):
        return next(m for m in self.metrics if m.name == name)

    def results(self, without=()):
        self._average()
        return {
            m.name: m.result() for m in self.metrics if m.name not in without
        }

    def _average(self):
        """Averages over processes; over devices, Keras does so by itself."""
        if processes.count() == 1:
            return
        variables = [v for m in self.metrics for v in m.variables]
        values = replicas.mean([v.value for v in variables])
        for variable, value in zip(variables, values):
            variable.assign(value)
