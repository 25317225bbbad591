"""The running means that `fit` reports."""

import keras


class LogMeans:
    """The running means of one compile, which Keras must not track."""

    def __init__(self, names=()):
        self.metrics = [keras.metrics.Mean(name=name) for name in names]

    def __getitem__(self, name):
        return next(m for m in self.metrics if m.name == name)

    def results(self, without=()):
        return {
            m.name: m.result() for m in self.metrics if m.name not in without
        }
