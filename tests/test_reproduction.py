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


@pytest.mark.slow
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
