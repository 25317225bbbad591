"""Extractors for the tests of the metrics."""

import keras
import numpy as np

from keras_monoflow.metrics import (
    FrechetDistance,
    KernelDistance,
    PrecisionRecall,
)

ALL = [FrechetDistance, KernelDistance, PrecisionRecall]


@keras.saving.register_keras_serializable(package="test_metrics")
def first_two(x):
    return np.asarray(x).reshape(len(x), -1)[:, :2]


class Counter:
    """An extractor that counts the samples that it is given."""

    def __init__(self):
        self.sizes = []

    def __call__(self, x):
        self.sizes.append(len(x))
        return x.reshape(len(x), -1)[:, :3]


def network(seed=0):
    return keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            keras.layers.Conv2D(
                3, 3, kernel_initializer=keras.initializers.HeNormal(seed)
            ),
            keras.layers.Dropout(0.5, seed=1),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
