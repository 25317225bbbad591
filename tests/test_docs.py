"""The code in the documentation runs, and its tables agree with the package."""

import importlib.util
import pathlib
import re

import pytest
from helpers import slow_except

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def code_of(page):
    """The Python fences of a page, on their lines: tracebacks point at them."""
    lines, inside = [], False
    for line in page.read_text("utf-8").splitlines():
        if line.startswith("```"):
            inside = re.match(r"```python\b", line) is not None
            line = ""
        lines.append(line if inside else "")
    return "\n".join(lines)


PAGES = [p for p in [ROOT / "README.md", *DOCS.glob("*.md")] if p.exists()]
PAGES = sorted(page for page in PAGES if code_of(page).strip())


def test_pages_are_found():
    names = {page.name for page in PAGES}
    assert {"index.md", "quickstart.md", "mappings.md", "metrics.md"} <= names


@pytest.mark.usefixtures("compile_fast")
@pytest.mark.parametrize(
    "page",
    slow_except([ROOT / "README.md", DOCS / "quickstart.md"], PAGES),
    ids=lambda page: page.name,
)
def test_code_runs(page, tmp_path, monkeypatch):
    if "kmf.metrics.WassersteinDistance" in code_of(page):
        pytest.importorskip("ot")
    if "kmf.callbacks.TensorBoard" in code_of(page):
        pytest.importorskip("tensorboard")
        pytest.importorskip("tensorflow")
    if "kmf.tuning" in code_of(page):
        pytest.importorskip("keras_tuner")
    monkeypatch.chdir(tmp_path)
    exec(compile(code_of(page), page, "exec"), {"__name__": "__main__"})


def load(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generator():
    return load("generate_mappings")


def test_tables_are_up_to_date(generator):
    text = generator.PAGE.read_text("utf-8")
    message = "Run `python docs/generate_mappings.py`."
    assert generator.render(text) == text, message


def test_metrics_are_up_to_date():
    pytest.importorskip("ot")
    page = load("generate_metrics")
    text = page.PAGE.read_text("utf-8")
    assert page.render(text) == text, "Run `python docs/generate_metrics.py`."


def test_plot_is_drawn(generator, tmp_path):
    path = tmp_path / "images" / "mappings.png"
    generator.plot(path)
    assert path.stat().st_size > 10_000
    assert generator.PLOT.exists()


def test_numbers(generator):
    values = [0.0, -0.0, 1.0, -10.0, 22026.4, 4.54e-5, 0.0995037, 1e-12]
    written = ["0", "0", "1", "-10", "2.2e4", "4.54e-5", "0.0995", "1e-12"]
    assert [generator.number(v) for v in values] == written
