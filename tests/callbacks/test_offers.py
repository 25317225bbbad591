"""What callbacks offer to `fit`: see the docstring of `kmf.callbacks`."""

import inspect

import keras
import numpy as np
import pytest

import keras_monoflow as kmf

OFFERS = {
    "BackupAndRestore": {"writes_files"},
    "DistributionMetrics": {"adds_to_logs", "measures_samples", "use_data"},
    "FlowAnimation": {"use_data", "writes_files"},
    "FlowMonitor": {"adds_to_logs", "boards", "use_data"},
    "SampleGrid": {"boards", "use_data", "writes_files"},
    "SampleScatter": {"boards", "use_data", "writes_files"},
    "TensorBoard": {"shows_pictures", "writes_files"},
}


def callbacks():
    public = vars(kmf.callbacks).items()
    return {name: c for name, c in public if inspect.isclass(c)}


def test_who_offers_what():
    names = set.union(*OFFERS.values())
    offers = {
        name: {n for n in names if getattr(cls, n, False) is not False}
        for name, cls in callbacks().items()
    }
    assert offers == OFFERS


def test_every_offer_is_documented():
    for name in set.union(*OFFERS.values()):
        assert f"`{name}" in kmf.callbacks.__doc__


class Gap(kmf.metrics.DistributionMetric):
    default_name = "gap"

    def compute(self, real, generated):
        return real.mean() - generated.mean()


class Zeros:
    """A model that generates zeros."""

    max_samples = 3

    def sample(self, n, seed=None):
        return np.zeros((n, 2))


def test_evaluate_and_saved_weights():
    features = keras.Sequential([keras.layers.Input((2,))])
    features.add(keras.layers.Dense(1))
    metrics = [Gap(), kmf.metrics.FrechetDistance(features)]
    callback = kmf.callbacks.DistributionMetrics(metrics)
    saved = callback.saved_weights()
    assert list(saved) == ["metric_1_0", "metric_1_1"]
    assert [*saved.values()] == features.weights
    callback = kmf.callbacks.DistributionMetrics(Gap())
    assert callback.saved_weights() == {}
    # As many as the model can generate.
    x = np.arange(10.0).reshape(5, 2)
    assert callback.evaluate(Zeros(), x) == {"gap": x[:3].mean()}


def test_without_data_of_fit():
    callback = kmf.callbacks.DistributionMetrics(Gap())
    callback.set_model(Zeros())
    with pytest.raises(ValueError, match="pass an array as `real`"):
        callback.on_epoch_end(0, {})
