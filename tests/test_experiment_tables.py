"""The tables of long experiments in the documentation are those that their
scripts print of the results in the repository."""

import pathlib
import runpy
import shutil
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
EXPERIMENTS = ROOT / "examples" / "experiments"
RESULTS = EXPERIMENTS / "results"

#: A script, its arguments, of which the last is where its results are, and the
#: page that shows its table.
TABLES = [
    ("better_samples", ["--output", "better_samples"], "sampling"),
    ("mnist_recipes", ["--output", "mnist_recipes"], "strong_gans"),
    (
        "gamma",
        ["--images", "50000", "--file", "gamma.jsonl"],
        "strong_gans",
    ),
    ("stacked_mnist", ["--output", "stacked_mnist"], "strong_gans"),
    (
        "small_data",
        ["--rounds", "12000", "--output", "small_data"],
        "small_data",
    ),
    ("packing", ["--data", "ring", "--file", "packing.jsonl"], "strong_gans"),
    ("packing", ["--data", "grid", "--file", "packing.jsonl"], "strong_gans"),
]


@pytest.mark.parametrize(
    ("script", "arguments", "page"),
    TABLES,
    ids=["_".join(t[1]) for t in TABLES],
)
def test_the_page_shows_what_the_script_prints(
    script, arguments, page, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(EXPERIMENTS)
    monkeypatch.syspath_prepend(EXPERIMENTS.parent)
    # (Some draw a picture beside their results.)
    shutil.copytree(RESULTS, tmp_path, dirs_exist_ok=True)
    *options, place = arguments
    command = [script, "--table", *options, str(tmp_path / place)]
    monkeypatch.setattr(sys, "argv", command)
    runpy.run_path(str(EXPERIMENTS / f"{script}.py"), run_name="__main__")
    printed = [
        line
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("|")
    ]
    assert len(printed) > 2
    shown = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    for line in printed:
        assert line in shown
