import sys
import types

import keras
import numpy as np
import pytest

from keras_monoflow.metrics import FrechetDistance, torch_fidelity_score
from keras_monoflow.metrics.fidelity import to_bytes


@pytest.fixture
def calls(monkeypatch):
    """Stand-ins for PyTorch and torch-fidelity; what the latter is given."""
    given = []

    def calculate_metrics(**arguments):
        given.append(arguments)
        return {"frechet_inception_distance": np.float64(1.5)}

    torch = types.SimpleNamespace(
        utils=types.SimpleNamespace(data=types.SimpleNamespace(Dataset=object)),
        cuda=types.SimpleNamespace(is_available=lambda: False),
        from_numpy=lambda x: x,
    )
    package = types.SimpleNamespace(calculate_metrics=calculate_metrics)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch_fidelity", package)
    return given


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, size=(2, 5, 4, 6, 3), dtype="uint8")


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras itself uses torch"
)
def test_what_torch_fidelity_is_given(calls, images):
    real, generated = images
    scores = torch_fidelity_score(real, generated, kid_subset_size=3)
    assert scores == {"frechet_inception_distance": 1.5}
    assert type(scores["frechet_inception_distance"]) is float
    (given,) = calls
    for name, expected in (("input1", generated), ("input2", real)):
        dataset = given.pop(name)
        assert len(dataset) == 5
        for i in range(5):
            assert dataset[i].dtype == np.uint8
            np.testing.assert_array_equal(
                dataset[i], expected[i].transpose(2, 0, 1)
            )
    assert given == {
        "fid": True,
        "kid": True,
        "cuda": False,
        "verbose": False,
        "save_cpu_ram": True,
        "kid_subset_size": 3,
    }
    torch_fidelity_score(real, generated, ("prc",), verbose=True)
    assert calls[1]["prc"] is calls[1]["verbose"] is True
    assert not {"fid", "kid"} & set(calls[1])


def test_bytes():
    values = np.array([-1.0, -0.5, 0.0, 1.0, 1.5, -2.0]).reshape(1, 2, 3)
    expected = [[0, 64, 128], [255, 255, 0]]
    for images in (
        values,
        values[..., None],
        values.repeat(3).reshape(1, 2, 3, 3),
    ):
        converted = to_bytes("real", images, (-1, 1))
        assert converted.dtype == np.uint8
        np.testing.assert_array_equal(converted, [[expected] * 3])
    same = np.arange(256, dtype="uint8").reshape(1, 16, 16)
    np.testing.assert_array_equal(
        to_bytes("real", same.astype("float16"), (0, 255))[0, 1], same[0]
    )
    np.testing.assert_array_equal(
        to_bytes("real", same, (-1, 1))[0, 2], same[0]
    )


def test_channels_first(images):
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        converted = to_bytes("real", images[0].transpose(0, 3, 1, 2), (-1, 1))
    finally:
        keras.config.set_image_data_format(before)
    np.testing.assert_array_equal(converted, images[0].transpose(0, 3, 1, 2))


def test_torch_fidelity_itself(torch_fidelity, images):
    """With an extractor of two features, whose scores are known."""
    import torch

    class Tiny(torch_fidelity.FeatureExtractorBase):
        def __init__(self, name, features_list, **kwargs):
            super().__init__(name, features_list)

        @staticmethod
        def get_provided_features_list():
            return ("two",)

        @staticmethod
        def get_default_feature_layer_for_metric(metric):
            return "two"

        @staticmethod
        def can_be_compiled():
            return False

        def forward(self, x):
            x = x.double()
            rows = [x.mean(dim=(1, 2, 3)), x[:, 0, :, 0].mean(dim=1)]
            return (torch.stack(rows, dim=1),)

    torch_fidelity.register_feature_extractor("kmf-tiny", Tiny)
    scores = torch_fidelity_score(
        *images, ("fid", "kid"), feature_extractor="kmf-tiny", kid_subset_size=5
    )

    def two(x):
        return np.stack(
            [x.mean(axis=(1, 2, 3)), x[:, :, 0, 0].mean(axis=1)], axis=1
        )

    np.testing.assert_allclose(
        scores["frechet_inception_distance"],
        FrechetDistance(two)(*images),
        rtol=1e-6,
    )
    assert "kernel_inception_distance_mean" in scores


def test_bad_arguments(images):
    real, generated = images
    for metrics in (("fid", "ppl"), "fid", ()):
        with pytest.raises(ValueError, match="`metrics`"):
            torch_fidelity_score(real, generated, metrics)
    with pytest.raises(ValueError, match=r"`real`.*1 or 3 channels"):
        torch_fidelity_score(real[..., :2], generated[..., :2])
    with pytest.raises(ValueError, match="one shape"):
        torch_fidelity_score(real, generated[:, :2])
    with pytest.raises(ValueError, match="`input_range`"):
        torch_fidelity_score(real / 255, generated / 255, input_range=(1, 0))
    with pytest.raises(ValueError, match=r"`real`.*5 of 5"):
        torch_fidelity_score(real * np.nan, generated * 1.0)


def test_missing_package(monkeypatch, images):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(ImportError, match=r"keras-monoflow\[fidelity\]"):
        torch_fidelity_score(*images)
