"""What importing the package does, and does not."""

import json
import os
import subprocess
import sys

import keras
import pytest

FRAMEWORKS = {"tensorflow", "jax", "torch"}
EXTRAS = {"ot", "tensorflow_datasets", "keras_tuner", "tensorboard"}

CODE = """
import json, sys
{block}
def packages():
    return {{name.split(".")[0] for name in sys.modules}}
import keras
before = packages()
import keras_monoflow
print(json.dumps(sorted(packages() - before)))
"""

# A module that is None in sys.modules counts as not installed, except for
# SciPy, which JAX imports and which takes such a torch for the real one.
BLOCK = "sys.modules.update(dict.fromkeys({names}))"
BLOCK_FOR_JAX = """
import importlib.abc
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Block())
"""


def imported(block=""):
    root = os.path.dirname(os.path.dirname(__file__))
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(block=block)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
def test_imports_no_framework_that_keras_does_not():
    assert not imported() & (FRAMEWORKS | EXTRAS | {"matplotlib", "scipy"})


@pytest.mark.slow
def test_imports_with_keras_and_one_backend_only():
    others = FRAMEWORKS - {keras.backend.backend()}
    missing = others | EXTRAS | {"matplotlib", "PIL"}
    block = BLOCK_FOR_JAX
    if keras.backend.backend() != "jax":
        missing.add("scipy")
        block = BLOCK
    assert "keras_monoflow" in imported(block.format(names=missing))


def test_extras_explain_themselves(monkeypatch):
    import keras_monoflow as kmf

    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r"keras-monoflow\[datasets\]"):
        kmf.datasets.load_images("mnist")
