"""Metrics work on the same real samples once only."""

import copy
import gc
import pickle
import weakref

import keras
import numpy as np
import pytest
from extractors import ALL, Counter, first_two, network

from keras_monoflow.metrics import FrechetDistance, PrecisionRecall
from keras_monoflow.metrics.real_side import checksum

# Too few samples for the pixels of some tests.
pytestmark = pytest.mark.filterwarnings("ignore:.*covariance has a rank")


@pytest.mark.parametrize("metric", ALL)
def test_real_samples_are_worked_on_once(metric, images):
    real, generated = images
    counter = Counter()
    m = metric(counter)
    values = [m(real, generated) for _ in range(3)]
    assert counter.sizes == [20, 15, 15, 15]
    assert values == [values[0]] * 3
    # Another object, though equal.
    assert m(real.copy(), generated) == values[0]
    assert counter.sizes[4:] == [20, 15]


@pytest.mark.parametrize("metric", ALL)
def test_tensors_are_known_again(metric, images):
    real = keras.ops.convert_to_tensor(images[0])
    counter = Counter()
    m = metric(counter)
    assert m(real, images[1]) == m(real, images[1])
    assert counter.sizes == [20, 15, 15]


@pytest.mark.parametrize("metric", ALL)
def test_lists_are_not(metric, rng):
    real = rng.normal(size=(9, 4)).tolist()
    counter = Counter()
    m = metric(counter)
    assert m(real, np.ones((9, 4))) == m(real, np.ones((9, 4)))
    assert counter.sizes == [9, 9, 9, 9]


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("extractor", [None, first_two])
def test_changes_in_place_are_noticed(metric, extractor, images):
    real, generated = images
    m = metric(extractor)
    m(real, generated)
    real[-1, 0, 0] += 5.0
    assert m(real, generated) == metric(extractor)(real, generated)


@pytest.mark.parametrize("metric", ALL)
def test_changed_weights_are_noticed(metric, images):
    model = network()
    m = metric(model)
    m(*images)
    for variable in model.trainable_variables:
        variable.assign(variable + 0.5)
    expected = metric(model)(*images)
    assert m(*images) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("metric", ALL)
def test_changed_settings_are_noticed(metric, images):
    m = metric()
    m(*images)
    m.feature_extractor = first_two
    assert m(*images) == metric(first_two)(*images)
    m = PrecisionRecall(first_two)
    m(*images)
    m.k = 1
    assert m(*images) == PrecisionRecall(first_two, k=1)(*images)


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("extractor", [None, first_two])
def test_real_samples_are_not_kept_alive(metric, extractor, images):
    real, generated = images
    real, m = real.copy(), metric(extractor)
    m(real, generated)
    known = weakref.ref(real)
    del real
    gc.collect()
    assert known() is None


def test_checksum(rng):
    x = rng.normal(size=(6, 4))
    same = [x.copy(), np.asfortranarray(x), x.repeat(2, axis=0)[::2]]
    assert {checksum(y) for y in same} == {checksum(x)}
    others = [x.reshape(4, 6), x.view("int64"), x[::-1], x[:5], -x]
    assert len({checksum(y) for y in [x, *others]}) == 6


def test_forget(images):
    counter = Counter()
    metric = FrechetDistance(counter)
    metric(*images)
    metric.forget()
    metric(*images)
    assert counter.sizes == [20, 15, 20, 15]


@pytest.mark.parametrize("metric", ALL)
def test_copies_and_pickles(metric, images):
    m = metric(first_two)
    value = m(*images)
    assert copy.deepcopy(m)(*images) == value
    assert pickle.loads(pickle.dumps(m))(*images) == value
