import json

import keras
import numpy as np
import pytest

from keras_monoflow.metrics import ModeCoverage


def by_loop(generated, centres, std, threshold, minimum_samples):
    """The number of covered modes, the share of good samples, and the KL."""
    counts, good = [0] * len(centres), 0
    for sample in generated:
        distances = [np.sqrt(np.sum((sample - c) ** 2)) for c in centres]
        mode = int(np.argmin(distances))
        if distances[mode] <= threshold * std:
            counts[mode] += 1
            good += 1
    modes = sum(count >= minimum_samples for count in counts)
    kl = sum(n / good * np.log(9 * n / good) for n in counts if n)
    return modes, good / len(generated), kl


@pytest.mark.parametrize("threshold", [1.2, 3.0])
@pytest.mark.parametrize("minimum_samples", [1, 12])
def test_against_a_loop(rng, threshold, minimum_samples):
    centres = rng.normal(size=(9, 3))
    # The modes overlap, and some get few samples.
    picks = rng.choice(9, size=200, p=np.arange(9) / 36)
    generated = centres[picks] + 0.3 * rng.normal(size=(200, 3))
    metric = ModeCoverage(centres, 0.25, threshold, minimum_samples)
    modes, share, kl = by_loop(
        generated, centres, 0.25, threshold, minimum_samples
    )
    assert 0 < modes < 9 or (threshold, minimum_samples) == (3.0, 1)
    assert metric(None, generated) == modes
    assert metric.details(None, generated) == {
        "modes": modes,
        "high_quality": pytest.approx(share),
        "kl": pytest.approx(kl),
    }


def test_the_mixture_itself(rng):
    angles = 2 * np.pi * np.arange(8) / 8
    centres = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    samples = centres.repeat(500, axis=0) + 0.1 * rng.normal(size=(4000, 2))
    details = ModeCoverage(centres, 0.1).details(None, samples)
    assert details["modes"] == 8
    # The squared distance over the variance is chi-squared with 2 degrees.
    expected = 1 - np.exp(-4.5)
    assert abs(details["high_quality"] - expected) < 0.007


def test_one_sample_covers_one_mode_only():
    # The sample is within 3 deviations of both centres.
    metric = ModeCoverage([[0.0], [1.0]], std=1.0)
    assert metric(None, [[0.4]]) == 1.0


def test_the_edge_counts():
    metric = ModeCoverage([[0.0, 0.0]], std=1.0, threshold=5.0)
    assert metric(None, [[3.0, 4.0]]) == 1.0
    assert metric(None, [[3.0, 4.001]]) == 0.0


def test_minimum_samples():
    generated = [[0.0]] * 3 + [[10.0]] * 2
    for minimum, modes in ((1, 2.0), (2, 2.0), (3, 1.0), (4, 0.0)):
        metric = ModeCoverage([[0.0], [10.0]], 1.0, minimum_samples=minimum)
        assert metric(None, generated) == modes


def test_tensors_and_images(rng):
    centres = rng.normal(size=(3, 2, 2)).astype("float32")
    metric = ModeCoverage(keras.ops.convert_to_tensor(centres), std=1e-3)
    generated = keras.ops.convert_to_tensor(centres[:2])
    assert metric(None, generated) == 2.0
    assert metric(keras.ops.zeros((5, 9)), generated) == 2.0


def test_config(rng):
    metric = ModeCoverage(rng.normal(size=(3, 2)), 0.5, 2.0, 2, name="modes")
    config = keras.saving.serialize_keras_object(metric)
    assert config["registered_name"] == "keras_monoflow>ModeCoverage"
    config = json.loads(json.dumps(config))
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == metric.get_config()
    assert again.name == "modes"
    assert ModeCoverage([[0.0]], 1.0).name == "mode_coverage"
    assert ModeCoverage.direction == "max"


def test_former_name_of_centers():
    metric = ModeCoverage(centres=[[0.0, 1.0]], std=0.1)
    np.testing.assert_array_equal(metric.centers, [[0.0, 1.0]])
    np.testing.assert_array_equal(metric.centres, [[0.0, 1.0]])
    # What version 0.1 wrote.
    config = {
        "centres": [[0.0, 1.0]],
        "std": 0.1,
        "threshold": 3.0,
        "minimum_samples": 1,
        "name": "mode_coverage",
    }
    again = ModeCoverage.from_config(config)
    assert again.get_config() == metric.get_config()
    assert "centers" in again.get_config()
    assert "centres" not in again.get_config()
    for arguments in ({}, {"centers": [[0.0]], "centres": [[0.0]]}):
        with pytest.raises(TypeError, match="`centers`"):
            ModeCoverage(std=0.1, **arguments)


def test_bad_arguments():
    centres = [[0.0, 1.0]]
    with pytest.raises(ValueError, match="`centers` must be finite"):
        ModeCoverage([[0.0, np.nan]], 1.0)
    for value in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match=f"`std`.*std={value}"):
            ModeCoverage(centres, value)
        with pytest.raises(ValueError, match="`threshold`"):
            ModeCoverage(centres, 1.0, threshold=value)
    with pytest.raises(ValueError, match="minimum_samples=0"):
        ModeCoverage(centres, 1.0, minimum_samples=0)
    with pytest.raises(TypeError, match="integer"):
        ModeCoverage(centres, 1.0, minimum_samples=0.2)
    with pytest.raises(ValueError, match=r"3 coordinates.*with 2"):
        ModeCoverage(centres, 1.0)(None, np.zeros((4, 3)))
