"""`examples/tune_mappings.py`, in small."""

import pathlib
import runpy
import sys

import pytest

pytest.importorskip("keras_tuner")
pytest.importorskip("sklearn")


EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the script with some arguments."""

    def run(*arguments, name="__main__"):
        path = str(EXAMPLES / "tune_mappings.py")
        command = [path, "--output", str(tmp_path), *arguments]
        monkeypatch.setattr(sys, "argv", command)
        return runpy.run_path(path, run_name=name)

    monkeypatch.syspath_prepend(EXAMPLES)
    return run


@pytest.mark.slow
def test_hyperband(run, tmp_path, capsys):
    run("--oracle", "hyperband", "--epochs", "2", "--limit", "256")
    table = (tmp_path / "ring_hyperband.csv").read_text()
    assert "COMPLETED" in table
    assert "FAILED" not in table
    assert "won" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("oracle", "seeds", "every"),
    [("grid", (0, 1, 2), 5), ("random", (0, 1, 2), 5), ("hyperband", (0,), 1)],
)
def test_what_a_trial_trains(run, oracle, seeds, every):
    names = run("--oracle", oracle, name="script")
    arguments = names["parse_arguments"]()
    _, _, model, fit = names["ring"](arguments)
    tuner = names["make_tuner"](arguments, model, fit["epochs"])
    assert tuner.hypermodel.seeds == seeds
    assert tuner.hypermodel.measures.every == every


def test_hyperband_takes_no_number_of_trials(run, capsys):
    with pytest.raises(SystemExit):
        run("--oracle", "hyperband", "--trials", "20")
    assert "--trials" in capsys.readouterr().err
