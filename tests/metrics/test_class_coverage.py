import json

import keras
import numpy as np
import pytest

from keras_monoflow.metrics import ClassCoverage


@keras.saving.register_keras_serializable(package="test_class_coverage")
def as_given(x):
    """The samples are the probabilities."""
    return x


def one_hot(labels, classes):
    return np.eye(classes)[labels]


def test_against_counting(rng):
    # Some classes get few samples, and the last one none.
    labels = rng.choice(6, size=300, p=[0.5, 0.3, 0.15, 0.04, 0.01, 0.0])
    probabilities = 0.7 * one_hot(labels, 6) + 0.05
    counts = [int(np.sum(labels == c)) for c in range(6)]
    shares = np.array([c for c in counts if c]) / 300
    for minimum in (1, 5, 20):
        metric = ClassCoverage(as_given, minimum_samples=minimum)
        reached = sum(count >= minimum for count in counts)
        assert metric(None, probabilities) == reached
        details = metric.details(None, probabilities)
        assert details["classes"] == reached
        assert details["coverage"] == reached / 6
    assert details["shares"] == pytest.approx([c / 300 for c in counts])
    entropy = -np.sum(shares * np.log(shares))
    assert details["balance"] == pytest.approx(entropy / np.log(6))
    assert details["kl"] == pytest.approx(np.log(6) - entropy)
    assert details["confidence"] == pytest.approx(0.75)


def test_balance():
    def balance(labels, classes):
        metric = ClassCoverage(as_given)
        return metric.details(None, one_hot(labels, classes))["balance"]

    assert balance([0, 1, 2, 3], 4) == pytest.approx(1.0)
    assert balance([2, 2, 2], 4) == 0.0
    assert balance([0, 1, 0, 1], 4) == pytest.approx(0.5)
    assert balance([0, 0], 1) == 1.0


def test_threshold():
    rows = [[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.25, 0.25, 0.5]]
    for threshold, classes in ((0.0, 3.0), (0.5, 3.0), (0.6, 1.0), (0.9, 0.0)):
        metric = ClassCoverage(as_given, threshold=threshold)
        assert metric(None, rows) == classes
    # Doubtful samples are in no share; the confidence is of all.
    details = ClassCoverage(as_given, threshold=0.6).details(None, rows)
    assert details["shares"] == pytest.approx([0.0, 1 / 3, 0.0])
    assert details["confidence"] == pytest.approx(0.6)
    assert ClassCoverage(as_given, threshold=0.9).details(None, rows) == {
        "classes": 0.0,
        "coverage": 0.0,
        "shares": [0.0, 0.0, 0.0],
        "balance": 0.0,
        "kl": np.inf,
        "confidence": pytest.approx(0.6),
    }


def test_logits(rng):
    logits = 5 * rng.normal(size=(40, 3)) + 1000.0
    probabilities = np.exp(logits - 1000.0)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    details = ClassCoverage(as_given, from_logits=True).details(None, logits)
    expected = ClassCoverage(as_given).details(None, probabilities)
    assert details == {
        name: pytest.approx(value, rel=1e-9) for name, value in expected.items()
    }
    with pytest.raises(ValueError, match="from_logits=True"):
        ClassCoverage(as_given)(None, logits)
    with pytest.raises(ValueError, match="from_logits=True"):
        ClassCoverage(as_given)(None, [[1.5, -0.5]])


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [3, 256])
def test_networks_of_images_infer(rng, batch_size):
    model = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.9, seed=0),
            keras.layers.Dense(5, activation="softmax"),
        ]
    )
    images = rng.normal(size=(17, 4, 4, 3)).astype("float32")
    rows = keras.ops.convert_to_numpy(model(images, training=False))
    metric = ClassCoverage(model, classes=5, batch_size=batch_size)
    details = metric.details(None, keras.ops.convert_to_tensor(images))
    counts = np.bincount(rows.argmax(axis=1), minlength=5)
    assert details["shares"] == pytest.approx((counts / 17).tolist())
    assert details["classes"] == np.count_nonzero(counts)
    assert details["confidence"] == pytest.approx(
        rows.max(axis=1).mean(), rel=1e-5
    )
    again = saved(metric)
    weights = metric.get_config()["classifier_weights"]
    assert again.get_config()["classifier_weights"] == weights
    with pytest.raises(ValueError, match="weights of `classifier`"):
        again(None, images)
    again.classifier.set_weights(model.get_weights())
    assert again(None, images) == metric(None, images)


def saved(metric):
    config = keras.saving.serialize_keras_object(metric)
    assert config["registered_name"] == "keras_monoflow>ClassCoverage"
    return keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))


def test_config():
    metric = ClassCoverage(as_given, 10, 0.5, 2, True, 64, "digits")
    again = saved(metric)
    assert again.get_config() == metric.get_config()
    assert again.classifier is as_given
    assert ClassCoverage(as_given).name == "class_coverage"
    assert ClassCoverage.direction == "max"
    with pytest.raises(ValueError, match=r"`classifier`.*lambda"):
        ClassCoverage(lambda x: x).get_config()


def test_bad_arguments():
    with pytest.raises(TypeError, match="classifier=None"):
        ClassCoverage(None)
    with pytest.raises(ValueError, match="classes=0"):
        ClassCoverage(as_given, classes=0)
    for threshold in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match=f"threshold={threshold}"):
            ClassCoverage(as_given, threshold=threshold)
    with pytest.raises(ValueError, match="minimum_samples=0"):
        ClassCoverage(as_given, minimum_samples=0)
    with pytest.raises(ValueError, match=r"classes=4.*3 outputs"):
        ClassCoverage(as_given, classes=4)(None, np.eye(3))
    with pytest.raises(ValueError, match=r"`classifier`.*\(2, 3, 3\)"):
        ClassCoverage(as_given)(None, np.ones((2, 3, 3)))
    with pytest.raises(ValueError, match=r"`generated`.*1 of 2"):
        ClassCoverage(as_given)(None, [[0.5, 0.5], [np.nan, 0.5]])
