"""Arguments of the examples have their effect, or are refused at once."""

import pathlib
import runpy
import sys

import numpy as np
import pytest

import keras_monoflow as kmf

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "examples"


class Began(Exception):
    """Raised in place of a training."""


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs a script with some arguments."""

    def run(name, *arguments, run_name="__main__"):
        path = str(EXAMPLES / f"{name}.py")
        command = [path, "--output", str(tmp_path), *arguments]
        monkeypatch.setattr(sys, "argv", command)
        return runpy.run_path(path, run_name=run_name)

    monkeypatch.syspath_prepend(EXAMPLES)
    return run


@pytest.mark.parametrize("seed", [0, 7])
def test_the_seed_orders_the_edges(run, monkeypatch, seed):
    def images(*_, **__):
        return np.zeros((64, 28, 28, 1), "float32"), np.zeros(64, int)

    def fit(self, data, **_):
        assert data.seed == seed
        raise Began

    monkeypatch.setattr(kmf.datasets, "load_images", images)
    monkeypatch.setattr(kmf.MonoFlowGAN, "fit", fit)
    with pytest.raises(Began):
        run("translate_edges", "--seed", str(seed), "--filters", "4")


@pytest.mark.slow
def test_potentials_without_a_warmup(run, tmp_path):
    small = "--seeds 1 --warmup 2 --potential-steps 4 --step-sizes 0.9"
    run("w2fe_gaussian", *small.split())
    assert (tmp_path / "w2.png").exists()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("--step-sizes", "1"),
        ("--step-sizes", "0.5 0"),
        ("--step-sizes", "0.1 1.5"),
        ("--warmup", "0"),
        ("--potential-steps", "0"),
    ],
)
def test_numbers_that_make_no_sense(run, capsys, name, values):
    with pytest.raises(SystemExit):
        run("w2fe_gaussian", name, *values.split())
    assert name in capsys.readouterr().err
