"""Training goes on, a little slower, where a private name has moved.

What PyTorch's recorded steps use is in `tests/test_torch_program.py`.
"""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.slow

BACKEND = keras.backend.backend()
#: (library, name, what the warning says; none where nothing is lost)
NAMES = {
    "tensorflow": [
        ("tensorflow", "ops", "gradient penalty"),
        ("tensorflow", "registry", "gradient penalty"),
        ("keras.src", "_momentums", "Adam"),
        ("keras.src", "_get_variable_index", "Adam"),
        ("keras.src", "_flatten_layers", None),
        ("keras.src", "get_stateless_scope", None),
    ],
    "jax": [
        ("jax", "jaxpr_as_fun", "longer to compile"),
        ("keras.src", "_get_jax_state", None),
        ("keras.src", "_flatten_layers", None),
        ("keras.src", "get_stateless_scope", None),
        ("keras.src", "_value", None),
    ],
    "torch": [
        ("torch", "aten", "gradient penalty"),
        ("keras.src", "_seed_generators", None),
        ("keras.src", "_initial_seed", "Dropout without a `seed`"),
        ("keras.src", "_flatten_layers", None),
        ("keras.src", "get_stateless_scope", None),
    ],
}[BACKEND]


def run(*arguments):
    here = pathlib.Path(__file__).parent
    path = os.pathsep.join(
        [str(here.parents[1]), os.environ.get("PYTHONPATH", "")]
    )
    done = subprocess.run(
        [sys.executable, str(here / "fallback_run.py"), *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def unbroken():
    return run()


def test_nothing_is_lost_with_the_installed_versions(unbroken):
    assert unbroken["warnings"] == []


@pytest.mark.parametrize(("library", "name", "lost"), NAMES)
def test_two_rounds_without_a_private_name(unbroken, library, name, lost):
    result = run(library, name)
    assert len(result["weights"]) == len(unbroken["weights"])
    for weight, expected in zip(result["weights"], unbroken["weights"]):
        assert np.isfinite(weight).all()
        np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-5)
    if lost is None:
        assert result["warnings"] == []
    else:
        assert any(lost in warning for warning in result["warnings"])
