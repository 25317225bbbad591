"""Loading images: a made-up TFDS data set, and the real ones where present."""

import builtins

import keras
import numpy as np
import pytest

from keras_monoflow.datasets import load_images

COUNT = 150  # more than one block


def made_up_images():
    """Return uint8 images, no two the same, and labels."""
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 6, 4, 3))
    return pixels.astype("uint8"), np.arange(COUNT) % 5


@pytest.fixture(scope="module")
def tfds():
    return pytest.importorskip(
        "tensorflow_datasets", reason="TensorFlow Datasets is not installed."
    )


@pytest.fixture(scope="module")
def builders(tfds):
    """Data sets that are generated on the spot, with no network."""

    class _Base(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

    class MonoflowColor(_Base):
        def _info(self):
            image = tfds.features.Image(shape=(6, 4, 3))
            label = tfds.features.ClassLabel(num_classes=5)
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(
                    {"image": image, "label": label}
                ),
            )

        def _generate_examples(self):
            for key, (image, label) in enumerate(zip(*made_up_images())):
                yield key, {"image": image, "label": int(label)}

    class MonoflowVaried(_Base):
        def _info(self):
            image = tfds.features.Image(shape=(None, None, 1))
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict({"image": image}),
            )

        def _generate_examples(self):
            for key in range(3):
                image = np.full((4 + key, 9, 1), 100 * key, "uint8")
                yield key, {"image": image}

    class MonoflowFloats(_Base):
        def _info(self):
            image = tfds.features.Tensor(shape=(2, 2, 1), dtype=np.float32)
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict({"image": image}),
            )

        def _generate_examples(self):
            yield 0, {"image": np.zeros((2, 2, 1), "float32")}

    class MonoflowBroken(MonoflowColor):
        def _split_generators(self, dl_manager):
            raise OSError("no route to host")

    return [MonoflowColor, MonoflowVaried, MonoflowFloats, MonoflowBroken]


@pytest.fixture(scope="module")
def data_dir(builders, tmp_path_factory):
    return str(tmp_path_factory.mktemp("tfds"))


def by_content(images):
    """Sort images, since TFDS shuffles them when it writes the files."""
    return images[np.lexsort(images.reshape(len(images), -1).T)]


def test_scaling(data_dir):
    images = load_images("monoflow_color", data_dir=data_dir)
    assert images.shape == (COUNT, 6, 4, 3)
    assert images.dtype == "float32"
    stored, _ = made_up_images()
    expected = 2.0 * stored.astype("float64") / 255.0 - 1.0
    np.testing.assert_allclose(
        by_content(images), by_content(expected), atol=1e-6
    )
    assert images.min() == -1.0
    assert images.max() == 1.0


def test_labels_belong_to_their_images(data_dir):
    images, labels = load_images(
        "monoflow_color", data_dir=data_dir, with_labels=True
    )
    assert labels.shape == (COUNT,)
    assert labels.dtype.kind == "i"
    stored, stored_labels = made_up_images()
    known = {
        image.tobytes(): label for image, label in zip(stored, stored_labels)
    }
    seen = np.round((images + 1) * 127.5).astype("uint8")
    assert [known[image.tobytes()] for image in seen] == labels.tolist()


def test_the_order_is_the_same_at_every_call(data_dir):
    first = load_images("monoflow_color", data_dir=data_dir)
    again = load_images("monoflow_color", data_dir=data_dir)
    np.testing.assert_array_equal(first, again)
    part = load_images("monoflow_color", "train[:10]", data_dir=data_dir)
    np.testing.assert_array_equal(part, first[:10])


@pytest.mark.parametrize("size", [(3, 2), (12, 8)])
def test_resize(data_dir, size):
    images = load_images("monoflow_color", data_dir=data_dir)
    small = load_images("monoflow_color", data_dir=data_dir, size=size)
    assert small.shape == (COUNT, *size, 3)
    assert small.dtype == "float32"
    expected = keras.ops.convert_to_numpy(
        keras.ops.image.resize(
            images, size, antialias=True, data_format="channels_last"
        )
    )
    np.testing.assert_allclose(small, expected, atol=1e-4)
    assert np.abs(small).max() <= 1.0


def test_resize_under_mixed_precision(data_dir):
    expected = load_images("monoflow_color", data_dir=data_dir, size=5)
    assert expected.shape == (COUNT, 5, 5, 3)
    keras.config.set_dtype_policy("mixed_float16")
    images = load_images("monoflow_color", data_dir=data_dir, size=5)
    np.testing.assert_array_equal(images, expected)


def test_images_of_several_sizes(data_dir):
    with pytest.raises(ValueError, match=r"no common shape.*Pass `size="):
        load_images("monoflow_varied", data_dir=data_dir)
    images = load_images("monoflow_varied", data_dir=data_dir, size=(3, 5))
    assert images.shape == (3, 3, 5, 1)
    levels = np.sort(images[:, 0, 0, 0])
    expected = np.array([0, 100, 200]) / 127.5 - 1.0
    np.testing.assert_allclose(levels, expected, atol=1e-6)


def test_features_that_are_no_images(data_dir):
    with pytest.raises(ValueError, match=r"uint8.*monoflow_floats.*float32"):
        load_images("monoflow_floats", data_dir=data_dir)
    with pytest.raises(ValueError, match=r"'label'.*It has \['image'\]"):
        load_images("monoflow_varied", data_dir=data_dir, with_labels=True)


def test_unknown_name(data_dir):
    with pytest.raises(ValueError, match="name='nothing_such', data_dir="):
        load_images("nothing_such", data_dir=data_dir)


@pytest.mark.parametrize("split", ["dev", "train[nonsense", "train[:0]"])
def test_unknown_or_empty_split(data_dir, split):
    with pytest.raises(ValueError, match="split=") as raised:
        load_images("monoflow_color", split, data_dir=data_dir)
    assert repr(split) in str(raised.value)


def test_one_name_and_one_split():
    with pytest.raises(TypeError, match=r"`split`.*\['test'\]"):
        load_images("mnist", split=["test"])
    with pytest.raises(TypeError, match=r"`name`.*3"):
        load_images(3)


def test_missing_data_without_download(builders, tmp_path):
    with pytest.raises(RuntimeError, match="`download=False`") as raised:
        load_images("monoflow_color", data_dir=str(tmp_path), download=False)
    message = str(raised.value)
    assert str(tmp_path) in message
    assert "load_images('monoflow_color')" in message
    assert "TFDS_DATA_DIR" in message


def test_failed_download(builders, tmp_path):
    with pytest.raises(RuntimeError, match="no route to host") as raised:
        load_images("monoflow_broken", data_dir=str(tmp_path))
    assert isinstance(raised.value.__cause__, OSError)


@pytest.mark.parametrize("size", [0, (3, -1), (3, 4, 5)])
def test_bad_size(size):
    with pytest.raises(ValueError, match="`size` must be"):
        load_images("mnist", size=size)


def test_tensorflow_datasets_not_installed(monkeypatch):
    real_import = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "tensorflow_datasets":
            raise ImportError("No module named 'tensorflow_datasets'")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"keras-monoflow\[datasets\]"):
        load_images("mnist")


@pytest.mark.parametrize(
    ("name", "shape", "mean"),
    # The means of the test splits, over pixels, known from the literature.
    [("mnist", (28, 28, 1), 0.1325), ("cifar10", (32, 32, 3), 0.4765)],
)
def test_real_images(tfds, name, shape, mean):
    try:
        images, labels = load_images(
            name, "test", download=False, with_labels=True
        )
    except RuntimeError as error:
        pytest.skip(f"The data are not on this machine: {error}")
    assert images.shape == (10000, *shape)
    assert np.abs(images).max() <= 1.0
    # CIFAR-10 may have been re-encoded on the way.
    assert abs((images.mean() + 1) / 2 - mean) < 1e-2
    assert np.bincount(labels).shape == (10,)
