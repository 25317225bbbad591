"""The page on the papers' claims agrees with its files, and its scripts run."""

import importlib.util
import pathlib
import runpy
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAPERS = ROOT / "examples" / "papers"
#: What the scripts share.
SHARED = ("claims", "images", "planar")
SCRIPTS = sorted(p for p in PAPERS.glob("*.py") if p.stem not in SHARED)


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(PAPERS)
    path = ROOT / "docs" / "generate_reproduction.py"
    spec = importlib.util.spec_from_file_location("generate_reproduction", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(page):
    pytest.importorskip("matplotlib")
    text = page.PAGE.read_text("utf-8")
    message = "Run `python docs/generate_reproduction.py`."
    assert page.render() == text, message


def test_the_page_has_all_claims_and_pictures(page):
    assert sorted(page.NAMES) == [path.stem for path in SCRIPTS]
    for picture in (PAPERS / "results").glob("*.png"):
        shown = page.IMAGES / picture.name
        assert shown.read_bytes() == picture.read_bytes()


@pytest.fixture
def claims(monkeypatch):
    monkeypatch.syspath_prepend(PAPERS)
    monkeypatch.delitem(sys.modules, "claims", raising=False)
    return importlib.import_module("claims")


def make_claim(claims, run):
    return claims.Claim(
        *("name", "title", "source", "claim", "setup", "advice"),
        choices=lambda quick: [{"a": 1}, {"a": 2}],
        run=run,
        table=lambda results: [str(claims.values(results, "b"))],
        verdict=lambda results: ("reproduced", "why"),
    )


def test_longer_runs_go_to_a_file_of_their_own(claims, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []

    def run(choice):
        seen.append(choice)
        return {"b": choice["rounds"]}

    claim = claims.dataclasses.replace(
        make_claim(claims, run), choices=lambda quick: [{"a": 1, "rounds": 7}]
    )
    monkeypatch.setattr(sys, "argv", ["name.py", "--longer", "3"])
    claims.main(claim)
    assert seen == [{"a": 1, "rounds": 21}]
    assert (tmp_path / "runs" / "papers" / "name_x3.json").exists()
    with pytest.raises(ValueError, match="no rounds"):
        make_claim(claims, run).longer(3)


def test_only_results_of_todays_choices_count(claims, tmp_path):
    claim = make_claim(claims, run=None)
    path = tmp_path / "results.json"
    claims.append(path, {"a": 3, "b": 30}, {"commit": "old"})
    claims.append(path, {"a": 2, "b": 20}, {"commit": "new"})
    found = claim.results(path)
    assert found == [{"a": 2, "b": 20, "made_with": 1}]
    assert claim.left(path, False) == [{"a": 1}]
    assert not claim.is_complete(path)
    claims.append(path, {"a": 1, "b": 10}, {"commit": "old"})
    assert claim.is_complete(path)
    assert [r["b"] for r in claim.results(path)] == [10, 20]
    assert [r["made_with"] for r in claim.results(path)] == [0, 1]
    stamps = claims.read(path)["made_with"]
    assert stamps == [{"commit": "old"}, {"commit": "new"}]


def test_a_run_that_diverges_is_said_and_does_not_come_again(
    claims, tmp_path, monkeypatch, capsys
):
    def run(choice):
        if choice["a"] == 1:
            raise ValueError("The first batch gave NaN")
        return {"b": 20}

    arguments = ["name", "--file", str(tmp_path / "results.json")]
    monkeypatch.setattr(sys, "argv", arguments)
    claims.main(make_claim(claims, run))
    assert "[20]\n\n1 of 2 runs diverged." in capsys.readouterr().out
    claims.main(make_claim(claims, run=None))  # Nothing is left to run.

    def faulty(choice):
        raise ValueError("another fault")

    arguments[-1] = str(tmp_path / "others.json")
    with pytest.raises(ValueError, match="another fault"):
        claims.main(make_claim(claims, faulty))


@pytest.mark.slow
@pytest.mark.take_turns
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_runs(path, tmp_path, monkeypatch, capsys):
    """Quickly, and goes on where it was stopped."""
    pytest.importorskip("scipy")
    monkeypatch.syspath_prepend(PAPERS)
    for name in SHARED:
        monkeypatch.delitem(sys.modules, name, raising=False)
    file = tmp_path / "results.json"
    arguments = [str(path), "--quick", "--file", str(file)]
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(str(path), run_name="__main__")
    first = capsys.readouterr().out
    assert "1/" in first
    assert "| " in first
    runpy.run_path(str(path), run_name="__main__")
    again = capsys.readouterr().out
    assert "1/" not in again
    assert again.strip() in first
