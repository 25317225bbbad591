"""Searches over velocities from samples."""

import keras
import numpy as np
import pytest

kt = pytest.importorskip("keras_tuner")

from tuning import problem  # noqa: E402

import keras_monoflow as kmf  # noqa: E402


def make(**arguments):
    defaults = {"metrics": problem.Gap(), "samples": 32}
    return kmf.tuning.SampleFlowHyperModel(
        problem.generator, **{**defaults, **arguments}
    )


def build(values, **arguments):
    hp = kt.HyperParameters()
    hp.values.update(values)
    return make(**arguments).build(hp)


def test_kernels_have_parameters_and_others_have_none():
    kernels = {"velocity": "kernel_ratio", "kernel": "laplace"}
    model = build({**kernels, "bandwidths": 0.3, "persistency": 3, "ema": 0.99})
    velocity = model.sample_velocity
    assert (velocity.name, velocity.bandwidths) == ("laplace", (0.3,))
    assert isinstance(velocity.mapping, kmf.mappings.Identity)
    assert (model.persistency, model.ema) == (3, 0.99)
    assert model.normalize_velocity
    model = build({"velocity": "sinkhorn", "step_size": 0.2})
    assert isinstance(model.sample_velocity, kmf.velocities.Sinkhorn)
    assert model.step_size == 0.2


def test_the_space_has_conditions(tmp_path):
    hypermodel = make(space={"mapping": ["identity", "arcsinh"]})
    tuner = kt.RandomSearch(
        hypermodel, hypermodel.objective, directory=tmp_path, max_trials=1
    )
    conditions = {
        h.name: [(c.name, c.values) for c in h.conditions]
        for h in tuner.oracle.get_space().space
    }
    for name in ("kernel", "bandwidths", "mapping"):
        assert conditions[name] == [("velocity", ["kernel_ratio"])]
    free = {name for name, found in conditions.items() if not found}
    assert {"velocity", "persistency", "step_size", "ema"} <= free
    assert not any("discriminator" in name for name in conditions)


def test_constants_features_and_further_arguments():
    features = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model = build(
        {},
        features=features,
        space={"velocity": kmf.velocities.MMD(), "generated_batch": 16},
    )
    assert isinstance(model.sample_velocity, kmf.velocities.MMD)
    assert model.generated_batch == 16
    assert model.features is features


@pytest.mark.parametrize(
    ("space", "message"),
    [({"critic_steps": 2}, "critic_steps"), ({"velocity": []}, "nothing")],
)
def test_unknown_entries(space, message):
    with pytest.raises(ValueError, match=message):
        make(space=space)


@pytest.mark.slow
def test_a_search_finds_a_velocity(tmp_path):
    hypermodel = make(
        space={
            "velocity": ["energy", "sliced"],
            "generator_learning_rate": 0.05,
            "persistency": 1,
            "ema": 0.0,
            "step_size": 0.5,
            "beta_1": 0.5,
        }
    )
    tuner = kmf.tuning.GridSearch(
        hypermodel, hypermodel.objective, directory=tmp_path
    )
    tuner.search(
        problem.data(),
        validation_data=problem.data(),
        batch_size=16,
        epochs=3,
        verbose=0,
    )
    table = kmf.tuning.results_table(tuner)
    assert len(table.rows) == 2
    best = tuner.get_best_models()[0]
    assert isinstance(best, kmf.SampleFlow)
    assert np.isfinite(best.sample(4, seed=0)).all()
