"""The code in the documentation runs, and its tables agree with the package."""

import ast
import importlib.util
import pathlib
import re
import sys

import keras
import numpy as np
import pytest

import keras_monoflow as kmf

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


PAGES = sorted(page for page in DOCS.glob("*.md") if code_of(page).strip())


def test_pages_are_found():
    names = {page.name for page in PAGES}
    assert {"index.md", "quickstart.md", "mappings.md", "metrics.md"} <= names


def code_runs(page, folder, monkeypatch):
    if "kmf.metrics.WassersteinDistance" in code_of(page):
        pytest.importorskip("ot")
    if "kmf.callbacks.TensorBoard" in code_of(page):
        pytest.importorskip("tensorboard")
        pytest.importorskip("tensorflow")
    if "kmf.tuning" in code_of(page):
        pytest.importorskip("keras_tuner")
    monkeypatch.chdir(folder)
    exec(compile(code_of(page), page, "exec"), {"__name__": "__main__"})


def test_code_of_the_readme_runs(tmp_path, monkeypatch):
    code_runs(ROOT / "README.md", tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.take_turns
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_runs(page, tmp_path, monkeypatch):
    code_runs(page, tmp_path, monkeypatch)


def load(name):
    """Imports a script of docs/, and what it imports from there."""
    if str(DOCS) not in sys.path:
        sys.path.append(str(DOCS))
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
    for name in set(kmf.metrics.__all__) - {"DistributionMetric"}:
        if isinstance(getattr(kmf.metrics, name), type):
            assert f"\n| `{name}` |" in text


def test_pretrained_models_are_up_to_date():
    page = load("generate_pretrained")
    text = page.PAGE.read_text("utf-8")
    message = "Run `python docs/generate_pretrained.py`."
    assert page.render() == text, message


def test_bibliography_is_up_to_date():
    page = load("generate_bibliography")
    assert set(page.citations()) == set(page.PAPERS)
    text = page.PAGE.read_text("utf-8")
    message = "Run `python docs/generate_bibliography.py`."
    assert page.render() == text, message


@pytest.mark.slow
def test_bad_input_is_up_to_date():
    page = load("generate_bad_input")
    text = page.PAGE.read_text("utf-8")
    assert page.render(text) == text, "Run `python docs/generate_bad_input.py`."


def test_plot_is_drawn(generator, tmp_path):
    path = tmp_path / "images" / "mappings.png"
    generator.plot(path)
    assert path.stat().st_size > 10_000
    assert generator.PLOT.exists()


class Steep(kmf.mappings.Mapping):
    """A bounded slope of 7."""

    def h(self, u):
        return 7.0 * u


def test_plot_has_room_for_new_mappings(generator, monkeypatch):
    for i in range(8):
        monkeypatch.setitem(generator.MAPPINGS.makers, f"new_{i}", Steep)
    figure = generator.draw()
    left, right = figure.axes
    names = {text.get_text().replace("\n", "") for text in left.texts}
    names |= {text.get_text().replace("\n", "") for text in right.texts}
    assert set(generator.MAPPINGS.makers) <= names
    assert left.get_ylim()[1] > 7.0
    looks = [(line.get_color(), line.get_linestyle()) for line in left.lines]
    assert len(set(looks)) == len(looks)


def test_table_asks_for_a_source(generator, monkeypatch):
    monkeypatch.setitem(generator.PENALTIES.makers, "steep", Steep)
    with pytest.raises(ValueError, match=r"docstring of Steep .* `Source: `"):
        generator.penalty_table()


def test_numbers(generator):
    values = [0.0, -0.0, 1.0, -10.0, 22026.4, 4.54e-5, 0.0995037, 1e-12]
    written = ["0", "0", "1", "-10", "2.2e4", "4.54e-5", "0.0995", "1e-12"]
    assert [generator.number(v) for v in values] == written


# The table of known GANs ----------------------------------------------------

ROW = re.compile(r"^\| (.+?) \| `(\w+)` \| `(.+?)` \| (.+?) \|$", re.MULTILINE)
README = (ROOT / "README.md").read_text("utf-8")
KNOWN = {name: (model, code) for name, model, code, _ in ROW.findall(README)}
MONOFLOW = {n: c for n, (model, c) in KNOWN.items() if model == "MonoFlowGAN"}
FLOWS = {name: flow for name, *_, flow in ROW.findall(README)}

#: Arguments of `named_gan` for the same GANs.
OF_THE_PAPER = {
    "vanilla (saturating)": ("vanilla",),
    "non-saturating": ("non_saturated",),
    "f-GAN, KL": ("f_gan", 1.0),
    "f-GAN, Pearson": ("f_gan", 2.0),
    "f-GAN, Hellinger": ("f_gan", 0.5),
    "b-GAN": ("b_gan",),
    "LSGAN": ("lsgan",),
    "GEBM, energy -d": ("gebm",),
}

#: The f of `E_q f(p / q)`.
DIVERGENCES = {
    "2 JSD(p, q)": lambda r: r * np.log(2 * r / (1 + r)) + np.log(2 / (1 + r)),
    "2 KL((p + q)/2 ‖ p)": lambda r: (1 + r) * np.log((1 + r) / (2 * r)),
    "KL(p ‖ q)": lambda r: r * np.log(r),
    "Pearson χ²(p ‖ q)": lambda r: (r - 1) ** 2,
    "squared Hellinger distance": lambda r: (np.sqrt(r) - 1) ** 2,
}


def arguments_of(code):
    return eval(f"dict({code})", {"kmf": kmf})


@pytest.mark.parametrize("name", KNOWN)
def test_known_gan_trains(name):
    model, code = KNOWN[name]
    gan = getattr(kmf, model)(
        kmf.networks.mlp_generator(2, 2, units=(8,)),
        kmf.networks.mlp_discriminator(2, units=(8,)),
    )
    adam = keras.optimizers.Adam
    gan.compile(adam(1e-3), adam(1e-3), run_eagerly=True, **arguments_of(code))
    gan.fit(kmf.datasets.gaussian_ring(16, seed=0), batch_size=16, verbose=0)
    assert np.isfinite(gan.sample(4, seed=0)).all()


def test_known_gans_are_those_of_the_paper():
    assert set(MONOFLOW) == set(OF_THE_PAPER)
    for name, code in MONOFLOW.items():
        mapping, loss = kmf.losses.named_gan(*OF_THE_PAPER[name])
        written = arguments_of(code)
        written_mapping = kmf.mappings.get(written["mapping"])
        written_loss = kmf.losses.get(
            written.get("discriminator_loss", "logistic"), written_mapping
        )
        assert written_mapping.get_config() == mapping.get_config(), name
        assert type(written_mapping) is type(mapping), name
        assert type(written_loss) is type(loss), name
        assert written_loss.get_config() == loss.get_config(), name


@pytest.mark.parametrize("name", MONOFLOW)
def test_known_gan_follows_the_flow_that_it_names(name):
    """The slope h' is proportional to r^2 f''(r)."""
    if name == "LSGAN":
        pytest.skip("The table names no divergence.")
    f = DIVERGENCES[FLOWS[name]]
    u = np.linspace(-2.0, 2.0, 9)
    r, step = np.exp(u), 1e-3 * np.exp(u)
    second = (f(r + step) - 2 * f(r) + f(r - step)) / step**2
    mapping = kmf.mappings.get(arguments_of(MONOFLOW[name])["mapping"])
    slope = mapping.derivative(keras.ops.convert_to_tensor(u, "float32"))
    factor = keras.ops.convert_to_numpy(slope) / (r**2 * second)
    np.testing.assert_allclose(factor, factor[0], rtol=1e-4)


def test_known_wgans_have_their_penalty():
    expected = {
        "WGAN-GP": kmf.penalties.GradientPenalty,
        "WGAN-LP": kmf.penalties.LipschitzPenalty,
    }
    for name, kind in expected.items():
        (penalty,) = kmf.penalties.get(arguments_of(KNOWN[name][1])["penalty"])
        assert type(penalty) is kind
        assert penalty.weight == 10.0


def test_home_page_has_the_table_and_the_code_of_the_readme():
    home = (DOCS / "index.md").read_text("utf-8")
    rows = {name: (model, code) for name, model, code, _ in ROW.findall(home)}
    assert rows == KNOWN
    first_fence = re.compile(r"```python\n.*?```", re.DOTALL)
    assert first_fence.search(home)[0] == first_fence.search(README)[0]


def test_moving_picture_is_small():
    picture = DOCS / "images" / "flow.gif"
    assert "docs/images/flow.gif" in README
    assert picture.stat().st_size < 1_500_000


def test_formulas_become_mathml():
    pytest.importorskip("latex2mathml")
    page = load("mathml").on_page_content(
        r'<p><span class="arithmatex">\(a &lt; b\)</span></p>'
        "\n"
        r'<div class="arithmatex">\[' + "\n\\frac{1}{2}\n" + r"\]</div>"
    )
    assert page.count("<math") == 2
    assert 'display="inline"' in page
    assert 'display="block"' in page
    assert "<mfrac>" in page
    assert "arithmatex" not in page


def test_primes_are_no_exponents():
    pytest.importorskip("latex2mathml")
    page = load("mathml").on_page_content(
        r"""<span class="arithmatex">\(h'(u)\)</span>"""
    )
    assert "msup" not in page
    assert re.search("<mi>h</mi><mo [^>]*>&#x02032;</mo>", page)


def test_names_alone_in_a_cell_are_marked():
    page = load("tables").on_page_content(
        '<td style="text-align: left;"><code>a, b</code></td>'
        '<td><a href="#x"><code>a</code></a></td>'
        "<td>with <code>a</code></td><td><code>a</code>, <code>b</code></td>"
    )
    assert page.count("data-name") == 2
    assert '<td style="text-align: left;" data-name=""><code>a, b' in page
    assert '<td data-name=""><a href="#x">' in page


def examples_of_docstrings():
    """The Python fences in docstrings of the package, by where they stand."""
    found = {}
    for path in sorted((ROOT / "keras_monoflow").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                continue
            text = ast.get_docstring(node) or ""
            for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
                found[f"{path.stem}.{node.name}"] = code
    return found


EXAMPLES = examples_of_docstrings()
#: What an example needs that is not there for everybody.
DOWNLOADS = ("load_images", "stacked_mnist", "torch_fidelity", "Usps")


@pytest.mark.slow
@pytest.mark.take_turns
@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_docstrings_run(name, tmp_path, monkeypatch):
    code = EXAMPLES[name]
    if any(word in code for word in DOWNLOADS):
        pytest.skip("downloads")
    monkeypatch.chdir(tmp_path)
    try:
        exec(compile(code, name, "exec"), {"__name__": "__main__"})
    except ImportError as error:
        pytest.skip(str(error))
