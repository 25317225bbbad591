"""Metrics that compare generated samples with real ones."""

from keras_monoflow.metrics.base import DistributionMetric
from keras_monoflow.metrics.mode_coverage import ModeCoverage
from keras_monoflow.metrics.wasserstein_distance import WassersteinDistance

__all__ = ["DistributionMetric", "ModeCoverage", "WassersteinDistance"]
