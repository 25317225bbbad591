"""What needs `compile`, or one network of several, says so."""

import numpy as np
import pytest
from helpers import ROLES, make_uncompiled

X = np.zeros((4, 2), "float32")

NEEDS_COMPILE = {
    "fit": lambda model: model.fit(X, verbose=0),
    "train_on_batch": lambda model: model.train_on_batch(X),
    "evaluate": lambda model: model.evaluate(X, verbose=0),
    "test_on_batch": lambda model: model.test_on_batch(X),
    "velocity": lambda model: model.velocity(X),
    "log_ratio": lambda model: model.log_ratio(X),
    "refine": lambda model: model.refine(X),
    "current_step_size": lambda model: model.current_step_size(),
    "discriminator_objective": lambda m: m.discriminator_objective(X, X),
}


@pytest.fixture(scope="module", params=ROLES)
def model(request):
    return make_uncompiled(request.param)


@pytest.mark.parametrize("method", NEEDS_COMPILE)
def test_needs_compile(model, method):
    is_known = model.flow_potential is not None
    if is_known and method in ("velocity", "log_ratio"):
        pytest.skip("what it climbs is known without `compile`")
    message = f"`compile` of {type(model).__name__} before `{method}`"
    with pytest.raises(ValueError, match=message):
        NEEDS_COMPILE[method](model)


def test_export_says_what_to_export(model, tmp_path):
    network = model.network_roles()[0]
    if getattr(model, network) is None:
        with pytest.raises(ValueError, match="has none"):
            model.export(tmp_path)
        return
    message = rf"`model.{network}.export\('{tmp_path}'\)`"
    with pytest.raises(ValueError, match=message) as error:
        model.export(tmp_path)
    assert ("averaged_generator" in str(error)) == hasattr(model, "generator")
    assert callable(getattr(model, network).export)
