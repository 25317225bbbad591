"""Three digits in the channels of one image."""

import importlib

import numpy as np
import pytest

from keras_monoflow import datasets

#: (The function of the package has the name of its module.)
module = importlib.import_module("keras_monoflow.datasets.stacked_mnist")


@pytest.fixture
def digits(rng, monkeypatch):
    """Images whose brightness is their class, in the place of MNIST."""
    classes = rng.integers(10, size=500)
    images = np.ones((500, 4, 4, 1), "float32")
    images *= np.float32(classes[:, None, None, None] / 10)
    asked = {}

    def load_images(name, **arguments):
        asked.update(arguments, name=name)
        return images, classes

    monkeypatch.setattr(module, "load_images", load_images)
    return asked


def test_the_channels_are_digits_of_the_label(digits):
    images, labels = datasets.stacked_mnist(
        3000, seed=1, size=4, data_dir="here", with_labels=True
    )
    assert images.shape == (3000, 4, 4, 3)
    assert images.dtype == np.float32
    brightness = np.rint(10 * images[:, 0, 0]).astype(int)
    np.testing.assert_array_equal(labels, brightness @ [100, 10, 1])
    assert digits["name"] == "mnist"
    assert (digits["size"], digits["data_dir"]) == (4, "here")
    # The channels are drawn independently of each other.
    assert np.abs(np.corrcoef(brightness.T) - np.eye(3)).max() < 0.1
    assert len(np.unique(labels)) > 900


def test_the_seed(digits):
    one, same, other = (
        datasets.stacked_mnist(50, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_bad_input():
    with pytest.raises(ValueError, match="`n` must be at least 1"):
        datasets.stacked_mnist(0)


def test_a_bad_seed_is_refused_before_anything_is_read():
    with pytest.raises(ValueError, match="seed=-1"):
        datasets.stacked_mnist(5, seed=-1, data_dir="/nowhere")
