"""Files that version 0.1 wrote load, predict and train on as they did there."""

import importlib.util
import io
import pathlib
import zipfile

import h5py
import keras
import numpy as np
import pytest
from helpers import slow_except

FOLDER = pathlib.Path(__file__).parent / "saved_by_0_1"


def written_by():
    spec = importlib.util.spec_from_file_location("write", FOLDER / "write.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names_in(path):
    """The names of all arrays in a `.keras` file."""
    names = set()
    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as file:
        file.visit(lambda name: names.add(name))
    return names


@pytest.mark.parametrize(
    "name",
    slow_except(
        ["monoflow", "w1fe"],
        ["monoflow", "conditional_monoflow", "w1fe", "w2fe", "particles"],
    ),
)
def test_loads_predicts_and_trains_on(name, tmp_path):
    write = written_by()
    expected = np.load(FOLDER / f"{name}.npz")
    model = keras.saving.load_model(FOLDER / f"{name}.keras")

    outputs = write.outputs(model)
    weights = write.after_another_round(model)
    assert outputs.keys() | weights.keys() == set(expected.files)
    for key in expected.files:
        value = {**outputs, **weights}[key]
        np.testing.assert_allclose(
            value, expected[key], rtol=1e-4, atol=1e-5, err_msg=key
        )
    # Written again, the file holds the same, under the same names.
    model.save(tmp_path / "again.keras")
    old, new = FOLDER / f"{name}.keras", tmp_path / "again.keras"
    assert names_in(old) == names_in(new)
    again = keras.saving.load_model(tmp_path / "again.keras")
    for one, other in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(one, other)
