import json

import keras
import numpy as np
import pytest

from keras_monoflow.metrics import FrechetDistance, inception


@pytest.fixture
def seen(monkeypatch):
    """Puts a small network in Inception's place; the images that it gets."""
    images = []

    class Recorder(keras.layers.Layer):
        def call(self, x):
            return keras.ops.mean(x, axis=(1, 2))

    def build(include_top, weights, pooling):
        assert not include_top
        assert pooling == "avg"
        layer = Recorder()

        def network(x):
            images.append(keras.ops.convert_to_numpy(x))
            return layer(x)

        return network

    monkeypatch.setattr(keras.applications, "InceptionV3", build)
    return images


def bilinear(image, size):
    """Half-pixel centres, without antialiasing; edges are repeated."""

    def weights(length):
        place = (np.arange(size) + 0.5) * length / size - 0.5
        place = np.clip(place, 0, length - 1)
        # A hat function around each of the old pixels.
        return np.maximum(1 - np.abs(place[:, None] - np.arange(length)), 0.0)

    rows, columns = weights(image.shape[0]), weights(image.shape[1])
    return np.einsum("ai,bj,ijc->abc", rows, columns, image, optimize=True)


@pytest.mark.parametrize("shape", [(2, 7, 5, 3), (2, 7, 5, 1), (2, 7, 5)])
def test_images_are_prepared(seen, rng, shape):
    images = rng.uniform(size=shape)
    features = inception(input_range=(0, 1), weights=None)(images)
    expected = images if images.ndim == 4 else images[..., None]
    expected = np.broadcast_to(2 * expected - 1, (2, 7, 5, 3))
    expected = np.stack([bilinear(image, 299) for image in expected])
    assert seen[0].dtype == "float32"
    np.testing.assert_allclose(seen[0], expected, atol=1e-5)
    np.testing.assert_allclose(features, expected.mean(axis=(1, 2)), atol=1e-5)


def test_large_images_are_shrunk_without_antialiasing(seen, rng):
    images = rng.uniform(-1, 1, size=(1, 400, 350, 3)).astype("float32")
    inception(weights=None)(images)
    np.testing.assert_allclose(
        seen[0][0], bilinear(images[0].astype("float64"), 299), atol=1e-4
    )


def test_bytes_span_the_range(seen):
    images = np.array([0, 255], "uint8").reshape(2, 1, 1, 1)
    features = inception(input_range=(0, 255), weights=None)(images)
    np.testing.assert_allclose(features, [[-1] * 3, [1] * 3], atol=1e-6)


def test_channels_first(seen, rng):
    images = rng.uniform(-1, 1, size=(2, 3, 6, 5)).astype("float32")
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        inception(weights=None)(images)
    finally:
        keras.config.set_image_data_format(before)
    expected = [bilinear(image.transpose(1, 2, 0), 299) for image in images]
    np.testing.assert_allclose(
        seen[0].transpose(0, 2, 3, 1), expected, atol=1e-5
    )


def test_saved_with_a_metric(seen, rng):
    metric = FrechetDistance(inception((0, 255), weights="w.h5"), batch_size=4)
    config = keras.saving.serialize_keras_object(metric)
    again = keras.saving.deserialize_keras_object(
        json.loads(json.dumps(config))
    )
    assert again.get_config() == metric.get_config()
    x, y = rng.integers(0, 256, size=(2, 10, 4, 4, 1), dtype="uint8")
    assert again(x, y) == metric(x, y)


def test_bad_arguments(seen):
    for input_range in ((1, -1), (0, 0), (0, np.inf)):
        with pytest.raises(ValueError, match="`input_range`"):
            inception(input_range)
    extractor = inception(weights=None)
    for shape in ((2, 8, 8, 2), (2, 8), (2, 2, 8, 8, 3)):
        with pytest.raises(ValueError, match=r"1 or 3 channels.*\(2, "):
            extractor(np.zeros(shape))


def test_no_network(monkeypatch):
    def build(**arguments):
        raise Exception("URL fetch failure on https://...")

    monkeypatch.setattr(keras.applications, "InceptionV3", build)
    with pytest.raises(RuntimeError, match=r"'imagenet'.*URL fetch.*notop"):
        inception()


@pytest.mark.slow
def test_the_network_itself(rng):
    features = inception(weights=None)(rng.uniform(-1, 1, size=(1, 8, 8)))
    assert features.shape == (1, 2048)
    assert np.isfinite(features).all()
    assert features.std() > 0


def test_bytes_need_their_range(seen):
    images = np.zeros((2, 8, 8, 3), "uint8")
    with pytest.raises(ValueError, match=r"bytes.*input_range=\(0, 255\)"):
        inception(weights=None)(images)
    inception(input_range=(0, 255), weights=None)(images)
    assert len(seen) == 1


def test_a_policy_of_the_training_changes_no_features(monkeypatch):
    policies = []
    monkeypatch.setattr(
        keras.applications,
        "InceptionV3",
        lambda **_: policies.append(keras.config.dtype_policy().name),
    )
    keras.config.set_dtype_policy("mixed_float16")
    inception(weights=None)
    assert policies == ["float32"]
    assert keras.config.dtype_policy().name == "mixed_float16"
