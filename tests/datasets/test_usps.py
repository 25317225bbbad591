"""The builder of USPS, with a few made-up digits in the place of the files."""

import copy
import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from made_up_usps import (
    ARCHIVE,
    COUNTS,
    expected,
    lines_of,
    make_folder,
    make_npz_folder,
    write,
)

from keras_monoflow.datasets import load_images
from keras_monoflow.datasets import usps_files as files

PACKAGE = os.path.dirname(files.__file__)


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "by hand")


@pytest.fixture(scope="module")
def tfds():
    return pytest.importorskip(
        "tensorflow_datasets", reason="TensorFlow Datasets is not installed."
    )


@pytest.fixture
def usps(tfds):
    import keras_monoflow as kmf

    return kmf.datasets.Usps


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def downloads(tfds, folder, monkeypatch):
    """Serve the files as downloads, with their own sums and counts."""
    asked = {}

    def download(manager, urls):
        asked.update(urls)
        return {s: tfds.core.Path(folder / ARCHIVE[s]) for s in urls}

    monkeypatch.setattr(tfds.download.DownloadManager, "download", download)
    sources = {
        split: source._replace(
            sha256=sha256(folder / source.file), digits=COUNTS[split]
        )
        for split, source in files.SOURCES.items()
    }
    monkeypatch.setattr(files, "SOURCES", sources)
    return asked


def check_builder(builder):
    rows = builder.as_dataset(split="train")
    assert rows.element_spec["image"].shape == (16, 16, 1)
    assert rows.element_spec["image"].dtype == "uint8"
    for split in COUNTS:
        images, labels = stored_rows(builder, split)
        assert len(images) == COUNTS[split]
        assert expected(split) == {
            image.tobytes(): label for image, label in zip(images, labels)
        }


def stored_rows(builder, split):
    rows = list(builder.as_dataset(split=split).as_numpy_iterator())
    return [row["image"] for row in rows], [int(row["label"]) for row in rows]


@pytest.mark.parametrize("make", [make_folder, make_npz_folder])
def test_round_trip(usps, make, tmp_path):
    manual_dir = make(tmp_path / "by hand")
    builder = usps(data_dir=tmp_path / "tfds", manual_dir=str(manual_dir))
    builder.download_and_prepare()
    check_builder(builder)
    assert builder.info.splits["train"].num_examples == COUNTS["train"]
    assert builder.info.features["label"].num_classes == 10


def test_sources_lead_to_the_same_order(usps, tmp_path):
    rows = []
    for make in (make_folder, make_npz_folder):
        manual_dir = make(tmp_path / make.__name__)
        builder = usps(data_dir=manual_dir / "tfds", manual_dir=manual_dir)
        builder.download_and_prepare()
        rows.append(stored_rows(builder, "train"))
    np.testing.assert_array_equal(rows[0][0], rows[1][0])
    assert rows[0][1] == rows[1][1]


def test_download_config(tfds, usps, folder, tmp_path):
    config = tfds.download.DownloadConfig(manual_dir=folder)
    builder = usps(data_dir=tmp_path / "tfds")
    builder.download_and_prepare(download_config=config)
    check_builder(builder)


def test_copy_of_a_builder_knows_its_folder(usps, folder, tmp_path):
    builder = usps(data_dir=tmp_path / "tfds", manual_dir=folder)
    builder = copy.deepcopy(builder)
    builder.download_and_prepare()
    check_builder(builder)


def test_default_folder(usps, folder, tmp_path, downloads):
    manual_dir = tmp_path / "tfds" / "downloads" / "manual"
    manual_dir.mkdir(parents=True)
    for name in ARCHIVE.values():
        (folder / name).rename(manual_dir / name)
    builder = usps(data_dir=tmp_path / "tfds")
    builder.download_and_prepare()
    check_builder(builder)
    assert not downloads


@pytest.mark.parametrize("others", [False, True])
def test_download(usps, tmp_path, downloads, others):
    if others:  # the default folder has files of another data set
        path = tmp_path / "tfds" / "downloads" / "manual" / "imagenet.tar"
        path.parent.mkdir(parents=True)
        path.touch()
    builder = usps(data_dir=tmp_path / "tfds")
    builder.download_and_prepare()
    check_builder(builder)
    root = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/"
    assert downloads == {
        "train": root + "usps.bz2",
        "test": root + "usps.t.bz2",
    }


@pytest.mark.parametrize("split", ["train", "test"])
def test_wrong_checksum(usps, folder, tmp_path, downloads, split):
    # Still a valid file: only the sum tells.
    path = folder / ARCHIVE[split]
    write(path, lines_of(split)[::-1])
    with pytest.raises(ValueError, match="wrong checksum") as raised:
        usps(data_dir=tmp_path / "tfds").download_and_prepare()
    message = str(raised.value)
    assert files.SOURCES[split].sha256 in message
    assert sha256(path) in message
    assert str(path) in message


def test_wrong_count(usps, tmp_path, downloads):
    downloaded = files.SOURCES["test"]
    files.SOURCES["test"] = downloaded._replace(digits=2007)
    with pytest.raises(ValueError, match=r"usps\.t\.bz2 must have 2007.*has 7"):
        usps(data_dir=tmp_path / "tfds").download_and_prepare()


@pytest.mark.parametrize("state", ["empty", "missing", "one of two"])
def test_missing_files(usps, folder, tmp_path, downloads, state):
    if state == "missing":
        folder = folder / "nowhere"
    else:
        (folder / "usps.t.bz2").unlink()
    if state == "empty":
        (folder / "usps.bz2").unlink()
    builder = usps(data_dir=tmp_path / "tfds", manual_dir=folder)
    with pytest.raises(FileNotFoundError) as raised:
        builder.download_and_prepare()
    for name in [str(folder), "usps.bz2", "usps.t.bz2", "usps.npz"]:
        assert name in str(raised.value)
    # A folder that was asked for is not replaced by a download.
    assert not downloads


def test_load_images(tfds, folder, tmp_path):
    data_dir = str(tmp_path / "tfds")
    images, labels = load_images(
        "usps", data_dir=data_dir, manual_dir=folder, with_labels=True
    )
    assert images.shape == (COUNTS["train"], 16, 16, 1)
    assert images.dtype == "float32"
    stored = np.round((images + 1) * 127.5).astype("uint8")
    known = expected("train")
    assert [known[image.tobytes()] for image in stored] == labels.tolist()
    # Once prepared, no other folder is needed.
    test = load_images("usps", "test", data_dir=data_dir, download=False)
    assert test.shape == (COUNTS["test"], 16, 16, 1)


def test_load_images_without_files(tfds, tmp_path):
    with pytest.raises(RuntimeError, match=r"usps\.npz"):
        load_images("usps", data_dir=str(tmp_path), manual_dir=tmp_path)


def run(code, *args):
    """Run `code` in a process that has not imported the builder yet."""
    root = os.path.abspath(os.path.join(PACKAGE, "..", ".."))
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code, *args],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.take_turns
def test_import_is_lazy():
    code = """
import sys
import keras_monoflow as kmf
from keras_monoflow.datasets import *
assert not hasattr(kmf.datasets, "Nothing")
print("tensorflow_datasets" in sys.modules)
sys.modules["tensorflow_datasets"] = None
try:
    from keras_monoflow.datasets import Usps
except ImportError as error:
    assert "`Usps` needs" in str(error), error
    print("keras-monoflow[datasets]" in str(error))
"""
    assert run(code) == ["False", "True"]


@pytest.mark.slow
@pytest.mark.take_turns
def test_names_are_known_without_an_import(tfds, folder, tmp_path):
    """Both `load_images` first and `tfds.load` after it know the name."""
    code = """
import os, sys
if os.environ["KERAS_BACKEND"] == "torch":
    import torch  # before TensorFlow
from keras_monoflow.datasets import load_images
images = load_images("usps", data_dir=sys.argv[1], manual_dir=sys.argv[2])
import tensorflow_datasets as tfds
rows = tfds.load("usps", split="test", data_dir=sys.argv[1])
print(len(images), len(rows))
"""
    before = sorted(os.listdir(PACKAGE))
    counts = run(code, str(tmp_path / "tfds"), str(folder))
    assert counts[-2:] == ["13", "7"]
    assert sorted(os.listdir(PACKAGE)) == before
