"""The registry itself, and that the documentation lists every name."""

import pathlib

import keras
import pytest

from keras_monoflow.registry import (
    MAPPINGS,
    METRICS,
    OBJECTIVES,
    PENALTIES,
    Registry,
)

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
#: By the name of its table in docs/mappings.md.
REGISTRIES = {
    "mappings": MAPPINGS,
    "objectives": OBJECTIVES,
    "penalties": PENALTIES,
}


@pytest.fixture
def registry():
    registry = Registry("color")
    registry.add("dark_red", lambda: "red", aliases=("crimson",))
    return registry


@pytest.mark.parametrize("spelling", ["dark_red", "Dark Red", " dark-red "])
def test_spellings(registry, spelling):
    assert registry.make(spelling) == "red"


def test_aliases(registry):
    assert registry.make("crimson") == "red"
    assert registry.names_for("dark_red") == ["crimson"]
    assert list(registry.makers) == ["dark_red"]


@pytest.mark.parametrize("name", ["dark_red", "crimson"])
@pytest.mark.parametrize("as_alias", [False, True])
def test_duplicate_names_are_refused(registry, name, as_alias):
    names = ("new", (name,)) if as_alias else (name, ())
    with pytest.raises(ValueError, match=f"color '{name}' exists already"):
        registry.add(names[0], lambda: "blue", aliases=names[1])
    assert registry.make(name) == "red"
    assert "new" not in registry.makers


def test_unknown_names_get_a_hint(registry):
    with pytest.raises(ValueError, match="Unknown `color`: 'dark_rde'") as e:
        registry.make("dark_rde")
    assert "Did you mean 'dark_red'?" in str(e.value)
    assert "Known names: crimson, dark_red." in str(e.value)
    with pytest.raises(ValueError, match="Unknown") as e:
        registry.make("xyz")
    assert "Did you mean" not in str(e.value)


def test_names_for_one_call(registry):
    assert registry.make("special", special=lambda: "green") == "green"
    with pytest.raises(ValueError, match=r"Known names: crimson, dark_red\."):
        registry.make("special")


@pytest.mark.parametrize("name", ["blue", None])
def test_the_decorator_registers_with_keras(registry, name):
    @registry.register(name)
    class ContractBlue:
        def get_config(self):
            return {}

    key = "keras_monoflow>ContractBlue"
    try:
        assert keras.saving.get_registered_object(key) is ContractBlue
    finally:
        del keras.saving.get_custom_objects()[key]
    assert (name in registry.makers) == (name is not None)
    if name:
        assert type(registry.make(name)) is ContractBlue


@pytest.mark.parametrize("kind", REGISTRIES)
def test_the_documentation_has_every_name(kind):
    text = (DOCS / "mappings.md").read_text("utf-8")
    table = text.split(f"<!-- begin: {kind} -->")[1].split("<!-- end: ")[0]
    for name in REGISTRIES[kind].makers:
        assert f"\n| `{name}` |" in table
    for alias, name in REGISTRIES[kind].aliases.items():
        row = table.split(f"\n| `{name}` |")[1].split("\n")[0]
        assert f"`{alias}`" in row


@pytest.mark.parametrize("name", METRICS.makers)
def test_the_page_on_metrics_has_every_name(name):
    assert f"| `{name}` |" in (DOCS / "metrics.md").read_text("utf-8")
