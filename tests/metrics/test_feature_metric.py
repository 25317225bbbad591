"""What all metrics of features share: extractors and saving."""

import json
import random

import keras
import numpy as np
import pytest
from extractors import ALL, Counter, first_two, network

from keras_monoflow.metrics import FrechetDistance

# Too few samples for the pixels of some tests.
pytestmark = pytest.mark.filterwarnings("ignore:.*covariance has a rank")


# ------------------------------------------------------------- extractors


@pytest.mark.parametrize("metric", ALL)
def test_a_function_is_called_in_batches(metric, images):
    counter = Counter()
    value = metric(counter, batch_size=8)(*images)
    assert counter.sizes == [8, 8, 4, 8, 7]
    expected = metric()(*(x.reshape(len(x), -1)[:, :3] for x in images))
    np.testing.assert_allclose(value, expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("batch_size", [7, 256])
def test_networks_infer(metric, images, batch_size):
    model = network()
    features = (
        keras.ops.convert_to_numpy(model(x, training=False)) for x in images
    )
    expected = metric()(*features)
    value = metric(model, batch_size=batch_size)(*images)
    np.testing.assert_allclose(value, expected, rtol=1e-4)


def test_layers_and_tensors(images):
    layer = keras.layers.GlobalAveragePooling2D()
    value = FrechetDistance(layer)(
        *(keras.ops.convert_to_tensor(x) for x in images)
    )
    expected = FrechetDistance()(*(x.mean(axis=(1, 2)) for x in images))
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_any_number_of_channels(rng, channels):
    x, y = rng.normal(size=(2, 20, 3, 3, channels))
    value = FrechetDistance(first_two)(x, y)
    np.testing.assert_allclose(
        value, FrechetDistance()(first_two(x), first_two(y)), rtol=1e-12
    )


def test_no_global_random_state_is_touched(images):
    model = network()
    states = np.random.get_state()[1].copy(), random.getstate()
    dropout = [
        keras.ops.convert_to_numpy(v) for v in model.non_trainable_variables
    ]
    for metric in ALL:
        metric(model)(*images)
    np.testing.assert_array_equal(np.random.get_state()[1], states[0])
    assert random.getstate() == states[1]
    for variable, value in zip(model.non_trainable_variables, dropout):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(variable), value
        )


@pytest.mark.parametrize("metric", ALL)
def test_bad_extractors(metric, images):
    def call(extractor):
        metric(extractor, batch_size=16)(*images)

    with pytest.raises(TypeError, match="feature_extractor='vgg'"):
        metric("vgg")
    with pytest.raises(ValueError, match=r"\(16, 4, 4, 2\).*pooling"):
        call(lambda x: x)
    with pytest.raises(ValueError, match=r"\(16,\).*pooling"):
        call(lambda x: x[:, 0, 0, 0])
    with pytest.raises(ValueError, match=r"one row per sample.*\(1, 2\)"):
        call(lambda x: first_two(x)[:1])
    with pytest.raises(ValueError, match=r"one array.*list of 2"):
        call(lambda x: [first_two(x), first_two(x)])
    with pytest.raises(ValueError, match=r"finite values.*16 of 16 rows"):
        call(lambda x: np.full((len(x), 2), np.nan))
    with pytest.raises(ValueError, match=r"one length.*16 and 4"):
        call(lambda x: np.ones((len(x), len(x))))
    with pytest.raises(ValueError, match="batch_size=0"):
        metric(batch_size=0)


def test_features_of_both_sets_have_one_length(images):
    sizes = iter([3, 2])
    metric = FrechetDistance(lambda x: x.reshape(len(x), -1)[:, : next(sizes)])
    with pytest.raises(ValueError, match=r"3 features of real.*2 of generated"):
        metric(*images)


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("extractor", [None, first_two])
def test_bad_samples(metric, extractor, images):
    real, generated = images
    with pytest.raises(ValueError, match=r"\(4, 4, 2\)|\(15, 4, 4, 1\)"):
        metric(extractor)(real, generated[..., :1])
    with pytest.raises(ValueError, match=r"`generated`.*\(0, 4, 4, 2\)"):
        metric(extractor)(real, generated[:0])
    bad = generated.copy()
    bad[3:5, 0, 0, 1] = np.inf
    with pytest.raises(ValueError, match=r"`generated`.*2 of 15 samples"):
        metric(extractor)(real, bad)
    with pytest.raises(ValueError, match=r"`real`.*2 of 15 samples"):
        metric(extractor)(bad, real)


# ------------------------------------------------------------------ saving


def saved(metric):
    config = keras.saving.serialize_keras_object(metric)
    return keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))


@pytest.mark.parametrize("metric", ALL)
def test_functions_that_keras_knows_are_saved(metric, images):
    m = metric(first_two, batch_size=3, name="mine")
    again = saved(m)
    assert again.name == "mine"
    assert again.feature_extractor is first_two
    assert again.get_config() == m.get_config()
    assert again(*images) == m(*images)
    assert saved(metric()).feature_extractor is None


@pytest.mark.parametrize("metric", ALL)
def test_others_are_refused(metric):
    with pytest.raises(ValueError, match=r"feature_extractor.*lambda.*regist"):
        metric(lambda x: x).get_config()
    with pytest.raises(ValueError, match=r"feature_extractor.*Counter.*regist"):
        metric(Counter()).get_config()


@pytest.mark.parametrize("metric", ALL)
def test_networks_wait_for_their_weights(metric, images):
    model = network()
    # Other weights than the seeds of its initializers give.
    model.set_weights([w + 0.1 for w in model.get_weights()])
    m = metric(model)
    again = saved(m)
    weights = m.get_config()["feature_extractor_weights"]
    assert again.get_config()["feature_extractor_weights"] == weights
    with pytest.raises(ValueError, match=r"weights of `feature_extractor`"):
        again(*images)
    again.feature_extractor.set_weights(model.get_weights())
    np.testing.assert_allclose(again(*images), m(*images), rtol=1e-6)
    # From now on the network may be trained.
    again.feature_extractor.set_weights([w + 1 for w in model.get_weights()])
    again(*images)


def test_a_network_without_weights_has_no_config():
    """Its copies could not tell which weights belong to them."""
    metric = FrechetDistance(keras.layers.Dense(4))
    with pytest.raises(ValueError, match=r"no weights yet.*Build it"):
        metric.get_config()
