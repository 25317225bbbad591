import keras
import numpy as np
import pytest

from keras_monoflow.metrics import DistributionMetric, base


class Recorder(DistributionMetric):
    """Keeps what `compute` was given."""

    default_name = "recorder"

    def compute(self, real, generated):
        self.given = real, generated
        return np.float32(1.5)


class Blind(Recorder):
    needs_real = False


def test_samples_arrive_as_float64_rows(rng):
    real = rng.normal(size=(4, 2, 3)).astype("float32")
    generated = rng.normal(size=(5, 2, 3)).astype("float16")
    metric = Recorder()
    value = metric(
        keras.ops.convert_to_tensor(real),
        keras.ops.convert_to_tensor(generated),
    )
    assert type(value) is float
    assert value == 1.5
    for rows, samples in zip(metric.given, (real, generated)):
        assert rows.dtype == np.float64
        np.testing.assert_array_equal(rows, samples.reshape(len(samples), 6))


def test_bfloat16_tensors():
    ones = keras.ops.ones((3, 2), dtype="bfloat16")
    metric = Recorder()
    metric(ones, ones)
    np.testing.assert_array_equal(metric.given[1], np.ones((3, 2)))


def test_numbers_and_integers_are_samples_too():
    metric = Recorder()
    metric(np.arange(3, dtype="uint8"), [4, 5])
    np.testing.assert_array_equal(metric.given[0], [[0], [1], [2]])
    np.testing.assert_array_equal(metric.given[1], [[4], [5]])


def test_metrics_that_need_no_real_samples():
    metric = Blind()
    metric(None, np.ones((2, 2)))
    assert metric.given[0] is None
    metric(np.ones((3, 7)), np.ones((2, 2)))
    assert metric.given[0] is None


def test_name():
    assert Recorder().name == "recorder"
    assert Recorder(name="mine").name == "mine"
    assert Recorder.from_config(Recorder("mine").get_config()).name == "mine"


@pytest.mark.parametrize("name", ["real", "generated"])
def test_bad_samples(name):
    def call(bad):
        good = np.zeros((3, *np.shape(bad)[1:]))
        Recorder()(**{"real": good, "generated": good, name: bad})

    with pytest.raises(ValueError, match=rf"`{name}`.*\(0, 2\)"):
        call(np.zeros((0, 2)))
    with pytest.raises(ValueError, match=rf"`{name}`.*shape=\(\)"):
        call(np.float32(1.0))
    for value in (np.nan, np.inf):
        bad = np.zeros((4, 2))
        bad[1:3] = value
        with pytest.raises(ValueError, match=f"`{name}`.*2 of 4 samples"):
            call(bad)


def test_bad_samples_are_counted_in_all_blocks():
    bad = np.zeros((3000, 2))
    bad[[5, 2000, 2999]] = np.nan
    with pytest.raises(ValueError, match="3 of 3000 samples"):
        Recorder()(np.zeros((4, 2)), bad)


def test_shapes_must_agree():
    # The same number of values, but not the same shape.
    with pytest.raises(ValueError, match=r"\(3, 2, 4\).*\(3, 4, 2\)"):
        Recorder()(np.zeros((3, 2, 4)), np.zeros((3, 4, 2)))
    with pytest.raises(ValueError, match="generated"):
        Blind()(None, np.zeros((0, 2)))


@pytest.mark.parametrize("name", ["mode_coverage", "class_coverage"])
def test_metrics_that_need_arguments_say_so(name):
    with pytest.raises(ValueError, match=r"takes arguments: pass.*Coverage"):
        base.get(name)
