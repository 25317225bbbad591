"""Metrics that compare generated samples with real ones."""

from keras_monoflow.metrics.base import DistributionMetric, get
from keras_monoflow.metrics.class_coverage import ClassCoverage
from keras_monoflow.metrics.fidelity import torch_fidelity_score
from keras_monoflow.metrics.frechet_distance import FrechetDistance
from keras_monoflow.metrics.inception_features import inception
from keras_monoflow.metrics.kernel_distance import KernelDistance
from keras_monoflow.metrics.mode_coverage import ModeCoverage
from keras_monoflow.metrics.precision_recall import PrecisionRecall
from keras_monoflow.metrics.sliced_wasserstein_distance import (
    SlicedWassersteinDistance,
)
from keras_monoflow.metrics.wasserstein_distance import WassersteinDistance

__all__ = [
    "ClassCoverage",
    "DistributionMetric",
    "FrechetDistance",
    "KernelDistance",
    "ModeCoverage",
    "PrecisionRecall",
    "SlicedWassersteinDistance",
    "WassersteinDistance",
    "get",
    "inception",
    "torch_fidelity_score",
]
