"""Tables, verdicts and pictures of made-up results."""

import csv
import types

import pytest

pytest.importorskip("keras_tuner")

import keras_tuner

from keras_monoflow import tuning


def table(*rows):
    rows = [
        {"trial": str(i), "status": "COMPLETED", "seeds": "0 1", **row}
        for i, row in enumerate(rows)
    ]
    return tuning.ResultsTable(rows, "val_gap", "min")


def row(value, std=None, **hyperparameters):
    spread = {} if std is None else {"val_gap_std": std}
    return {"val_gap": value, **spread, **hyperparameters}


FAR = table(
    row(0.1, 0.01, mapping="arcsinh"),
    row(0.5, 0.02, mapping="vanilla", shift=5.0),
    row(0.7, 0.02, mapping="vanilla", shift=0.0),
)
NEAR = table(
    row(0.1, 0.03, mapping="arcsinh"),
    row(0.12, 0.04, mapping="identity"),
    row(0.9, 0.01, mapping="mle"),
)


def test_text_shows_what_differs():
    lines = str(FAR).splitlines()
    assert lines[0].split() == [
        "trial",
        "status",
        "val_gap",
        "mapping",
        "shift",
    ]
    assert "0.1 ± 0.01" in lines[1]
    assert lines[2].endswith("5")
    markdown = FAR.to_markdown().splitlines()
    assert len({line.count("|") for line in markdown}) == 1
    assert set(markdown[1]) == {"|", "-"}
    assert str(table()) == "no trials"


def test_a_worker_has_no_table(tmp_path, monkeypatch):
    """KerasTuner gives the tuner of a worker a client, without the trials."""
    from keras_tuner.src.distribute import oracle_client

    tuner = tuning.GridSearch(
        lambda hp: None,
        objective=keras_tuner.Objective("val_gap", "min"),
        directory=tmp_path,
    )
    assert len(tuning.results_table(tuner)) == 0
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "1")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker")
    tuner.oracle = oracle_client.OracleClient(tuner.oracle)
    with pytest.raises(RuntimeError, match="worker of a parallel search"):
        tuning.results_table(tuner)


def test_csv_has_everything(tmp_path):
    FAR.to_csv(tmp_path / "table.csv")
    with open(tmp_path / "table.csv") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[1]["val_gap_std"]) == 0.02
    assert rows[0]["seeds"] == "0 1"
    assert rows[0]["shift"] == ""


def test_best_by():
    assert [r["val_gap"] for r in FAR.best_by("mapping")] == [0.1, 0.5]
    assert len(FAR.best_by(("mapping", "shift"))) == 3
    for look in (FAR.best_by, lambda by: tuning.verdict(FAR, by)):
        with pytest.raises(ValueError, match=r"no column 'maping'.*mapping"):
            look("maping")


def test_verdicts():
    clear = tuning.verdict(FAR)
    assert "arcsinh won, with val_gap = 0.1, ahead of vanilla by 0.4" in clear
    assert "more than the spread" in clear
    # sqrt(0.01^2 + 0.02^2)
    assert "0.0224" in clear
    close = tuning.verdict(NEAR)
    assert "no winner can be named among arcsinh, identity." in close
    assert "0.05" in close
    both = tuning.verdict(FAR, by=("mapping", "shift"))
    assert "vanilla (shift=5)" in both
    single = table(row(0.1, mapping="a"), row(0.2, mapping="b"))
    assert "spread is not known" in tuning.verdict(single)
    assert "nothing to compare" in tuning.verdict(table(row(1.0, mapping="a")))
    assert tuning.verdict(table()) == "No trial was completed."


def made_up_tuner(scores):
    trials = {}
    for i, score in enumerate(scores):
        trials[str(i)] = types.SimpleNamespace(
            trial_id=str(i),
            status="FAILED" if score is None else "COMPLETED",
            score=score,
            message="Traceback\nFailedTrialError: diverged" * (score is None),
            hyperparameters=types.SimpleNamespace(
                values={"mapping": "ab"[i % 2]}
            ),
            metrics=types.SimpleNamespace(
                metrics={
                    "val_near": types.SimpleNamespace(
                        get_history=lambda score=score: [
                            types.SimpleNamespace(value=[score])
                        ]
                    )
                }
            ),
        )
    objective = types.SimpleNamespace(name="val_near", direction="max")
    oracle = types.SimpleNamespace(trials=trials, objective=objective)
    return types.SimpleNamespace(oracle=oracle)


def test_table_of_a_tuner():
    found = tuning.results_table(made_up_tuner([0.2, None, 0.9, 0.5]))
    assert [r.get("val_near") for r in found] == [0.9, 0.5, 0.2, None]
    assert found[3]["message"] == "FailedTrialError: diverged"
    assert found.direction == "max"


def test_picture():
    pytest.importorskip("matplotlib")
    figure = tuning.plot_results(made_up_tuner([0.2, None, 0.9, 0.5]))
    left, right = figure.axes
    assert [t.get_text() for t in left.get_yticklabels()] == ["a", "b"]
    dots, steps = right.get_lines()
    assert list(dots.get_ydata()) == [0.2, 0.9, 0.5]
    assert list(steps.get_ydata()) == [0.2, 0.9, 0.9]
    with pytest.raises(ValueError, match="No trial"):
        tuning.plot_results(made_up_tuner([None]))
