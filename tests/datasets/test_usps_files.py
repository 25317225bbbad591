"""The reader of the USPS files, which needs no TensorFlow Datasets."""

import bz2

import numpy as np
import pytest
from made_up_usps import (
    COUNTS,
    arrays,
    bytes_of,
    labels_of,
    line,
    lines_of,
    make_folder,
    make_npz_folder,
    write,
)

from keras_monoflow.datasets import usps_files as files


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "by hand")


@pytest.fixture
def npz(tmp_path):
    return make_npz_folder(tmp_path / "numpy")


@pytest.mark.parametrize("source", ["folder", "npz"])
def test_values(source, request):
    splits = files.read_folder(request.getfixturevalue(source))
    assert list(splits) == ["train", "test"]
    for split, (images, labels) in splits.items():
        assert images.shape == (COUNTS[split], 16, 16, 1)
        assert images.dtype == labels.dtype == "uint8"
        np.testing.assert_array_equal(images, bytes_of(split))
        np.testing.assert_array_equal(labels, labels_of(split))


@pytest.mark.parametrize(
    ("value", "byte"),
    [(-1, 0), (-0.631, 47), (0.862, 237), (0.307, 167), (0, 128), (1, 255)],
)
def test_rounding(value, byte):
    assert files.to_bytes(value) == byte


def replaced(number, word):
    """Return a line with one of its words replaced, or left out."""
    words = line(3, np.zeros(256)).split()
    words[number : number + 1] = word
    return " ".join(words) + "\n"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (replaced(0, ["0"]), "the label is 0"),
        (replaced(0, ["11"]), "the label is 11"),
        (replaced(0, ["seven"]), "'seven'"),
        (replaced(5, []), "255 pixels"),
        (replaced(5, ["6:0"]), "indices"),
        (replaced(5, ["0.5"]), "indices"),
        (replaced(256, ["256:0", "257:0"]), "257 pixels"),
        (replaced(5, ["5:1.001"]), "out of range"),
        (replaced(5, ["5:nan"]), "out of range"),
        (replaced(5, ["5:x"]), "'x'"),
        ("\n", "the label is None"),
    ],
)
def test_malformed_line(folder, bad, reason):
    lines = lines_of("test")
    lines[2] = bad
    write(folder / "usps.t.bz2", lines)
    with pytest.raises(ValueError, match=r"Line 3 of .*usps\.t\.bz2") as raised:
        files.read_folder(folder)
    assert reason in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"no bzip2", "half", "binary"])
def test_file_that_is_not_readable(folder, content):
    path = folder / "usps.bz2"
    if content == "half":
        content = path.read_bytes()[:200]
    elif content == "binary":
        content = bz2.compress(b"\xff\xfe")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"usps\.bz2"):
        files.read_folder(folder)


@pytest.mark.parametrize(
    ("name", "array", "reason"),
    [
        ("x_test", np.zeros((7, 16, 16)), "integers"),
        ("x_test", np.zeros((0, 16, 16), int), "integers"),
        ("x_test", np.zeros((7, 16, 15), int), "16, 15"),
        ("x_test", np.full((7, 16, 16), 256), "every pixel in [0, 255]"),
        ("x_test", np.full((7, 16, 16), -1), "every pixel in [0, 255]"),
        ("y_test", np.zeros(6, int), "(6,)"),
        ("y_test", np.full(7, 10), "every label in [0, 9]"),
        ("y_test", np.full(7, 0.5), "integers"),
        ("y_test", None, "y_test"),
    ],
)
def test_bad_arrays(npz, name, array, reason):
    changed = {**arrays(), name: array}
    if array is None:
        del changed[name]
    np.savez(npz / "usps.npz", **changed)
    with pytest.raises(ValueError, match=r"usps\.npz must have") as raised:
        files.read_folder(npz)
    assert reason in str(raised.value)
