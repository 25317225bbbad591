"""The examples in `examples/ports` and `translate_edges.py`, in small, with
made-up images."""

import pathlib
import re
import runpy
import sys

import keras
import numpy as np
import pytest

import keras_monoflow as kmf

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "examples"
PORTS = sorted((EXAMPLES / "ports").glob("*.py"))
LINES = 120

ARGUMENTS = {
    "adaptive_augmentation": "--size 16 --filters 4 --batch-size 16",
    "autoencoder": "--filters 4",
    "cycle": "--filters 4",
    "dcgan": "--size 16 --filters 4 --batch-size 16",
    "graphs": "--molecules 256",
    "table": "",
    "translate_edges": "--filters 4",
    "wgan_gp": "--filters 4 --batch-size 16",
}


def made_up(name, split="train", size=28, with_labels=False, **_):
    """Blots, whose place tells the label, in place of a data set."""
    channels = 3 if name == "cifar10" else 1
    labels = np.arange(640 if split == "train" else 320) % 10
    place = np.linspace(-1, 1, size)
    centers = labels[:, None] / 5 - 1
    rows = np.exp(-8 * (place - centers) ** 2)
    images = 2 * rows[:, :, None, None] * rows[:, None, :, None] - 1
    images = np.float32(np.repeat(images, channels, axis=-1))
    return (images, labels) if with_labels else images


def run(path, folder, monkeypatch, *more):
    monkeypatch.setattr(kmf.datasets, "load_images", made_up)
    monkeypatch.syspath_prepend(EXAMPLES)
    arguments = [*ARGUMENTS[path.stem].split(), "--epochs", "1", *more]
    if path.stem != "table":
        arguments += ["--output", str(folder)]
    monkeypatch.setattr(sys, "argv", [str(path), *arguments])
    runpy.run_path(str(path), run_name="__main__")


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [*PORTS, EXAMPLES / "translate_edges.py"], ids=lambda p: p.stem
)
@pytest.mark.filterwarnings("ignore")
def test_it_runs(path, tmp_path, monkeypatch, capsys):
    run(path, tmp_path, monkeypatch)
    if path.stem == "graphs":
        shares = [
            float(line.split(": ")[1].split()[0])
            for line in capsys.readouterr().out.splitlines()
            if "keep to the rules" in line
        ]
        assert shares[0] == 1.0
        assert 0 <= shares[1] <= 1


@pytest.mark.slow
def test_a_folder_of_images(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    for i, image in enumerate(made_up("mnist")[:32]):
        keras.utils.save_img(tmp_path / "images" / f"{i}.png", image)
    folder = str(tmp_path / "images")
    path = EXAMPLES / "ports" / "dcgan.py"
    run(path, tmp_path / "run", monkeypatch, "--folder", folder)
    assert (tmp_path / "run" / "epoch_0001.png").exists()


def test_ports_are_short():
    for path in PORTS:
        assert len(path.read_text("utf-8").splitlines()) <= LINES, path.name
    known = {path.stem for path in PORTS} | {"translate_edges"}
    assert known == set(ARGUMENTS)


def test_the_page_counts_their_lines():
    page = EXAMPLES.parents[0] / "docs" / "porting.md"
    counted = re.findall(r"`([a-z_/]+\.py)`[^|]*\| (\d+) \|", page.read_text())
    assert len(counted) == len(PORTS) + 2
    for name, lines in counted:
        text = (EXAMPLES / name).read_text("utf-8")
        assert len(text.splitlines()) == int(lines), name
