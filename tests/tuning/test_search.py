"""Searches: every oracle, seeds, failures, and what is read from them."""

import keras
import numpy as np
import pytest

kt = pytest.importorskip("keras_tuner")

import problem  # noqa: E402

import keras_monoflow as kmf  # noqa: E402


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """A whole grid with two seeds."""
    folder = tmp_path_factory.mktemp("grid")
    model = problem.hypermodel(seeds=(3, 4))
    return problem.search(problem.tuner(folder, model))


@pytest.mark.slow
def test_grid_tries_everything_once(grid):
    table = kmf.tuning.results_table(grid)
    tried = {(row["mapping"], row.get("shift")) for row in table}
    assert tried == {("identity", None), ("vanilla", 0.0), ("vanilla", 5.0)}
    assert len(table) == 3


@pytest.mark.slow
def test_a_part_of_a_grid_goes_on(tmp_path):
    """Also if no trial was running when the search ended."""
    problem.search(problem.tuner(tmp_path, max_trials=2))
    tuner = problem.search(problem.tuner(tmp_path))
    assert len(kmf.tuning.results_table(tuner)) == 3


def test_values_are_those_of_fits_by_hand(grid):
    for row in kmf.tuning.results_table(grid).rows[:2]:
        values = [problem.fit_by_hand(row, seed) for seed in (3, 4)]
        found = [row["val_gap_seed_3"], row["val_gap_seed_4"]]
        np.testing.assert_allclose(found, values, rtol=1e-5)
        assert row["val_gap"] == pytest.approx(np.mean(values), rel=1e-5)
        assert row["val_gap_std"] == pytest.approx(
            np.std(values, ddof=1), rel=1e-4
        )
        assert row["seeds"] == "3 4"


def test_best_model_gives_its_score_again(grid):
    best = kmf.tuning.results_table(grid)[0]
    model = grid.get_best_models()[0]
    score = model.evaluate(problem.data(), verbose=0, return_dict=True)["gap"]
    # Kept is the best epoch of the best seed.
    values = [best["val_gap_seed_3"], best["val_gap_seed_4"]]
    assert score == pytest.approx(min(values), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (kt.RandomSearch, {"max_trials": 2, "seed": 1}),
        (
            kt.BayesianOptimization,
            {"max_trials": 3, "num_initial_points": 2, "seed": 1},
        ),
        (kt.Hyperband, {"max_epochs": 3, "factor": 3, "seed": 1}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_other_oracles(kind, arguments, tmp_path):
    pytest.importorskip("sklearn")
    tuner = problem.search(problem.tuner(tmp_path, kind=kind, **arguments))
    table = kmf.tuning.results_table(tuner)
    assert len(table) >= 2
    assert {row["status"] for row in table} == {"COMPLETED"}
    best = tuner.get_best_models()[0]
    score = best.evaluate(problem.data(), verbose=0, return_dict=True)["gap"]
    assert score == pytest.approx(table[0]["val_gap"], rel=1e-6)
    if kind is kt.Hyperband:
        # Epochs are the resource: some trials went on where others stopped.
        assert {1, 3} <= {row["tuner/epochs"] for row in table}
        assert any(row.get("tuner/trial_id") for row in table)


@pytest.mark.slow
def test_full_space_in_a_random_search(tmp_path):
    model = problem.hypermodel(space=None)
    tuner = problem.tuner(tmp_path, model, kt.RandomSearch, max_trials=2)
    table = kmf.tuning.results_table(problem.search(tuner))
    assert {row["status"] for row in table} == {"COMPLETED"}


@pytest.mark.slow
def test_a_plain_hypermodel_that_builds_our_models(tmp_path):
    def build(hp):
        model = problem.hypermodel().build(kt.HyperParameters())
        mapping = hp.Choice("mapping", ["identity", "arcsinh"])
        model.compile(
            keras.optimizers.SGD(0.1),
            keras.optimizers.SGD(0.1),
            mapping=mapping,
        )
        return model

    tuner = kt.GridSearch(
        build,
        objective=kt.Objective("val_gap", "min"),
        directory=tmp_path,
        project_name="plain",
    )
    metrics = kmf.callbacks.DistributionMetrics(problem.Gap(), samples=32)
    problem.search(tuner, callbacks=[metrics])
    table = kmf.tuning.results_table(tuner)
    assert [row["status"] for row in table] == ["COMPLETED"] * 2
    assert table[0]["val_gap"] <= table[1]["val_gap"]


def explode_in(mapping):
    """A hypermodel whose trials with one mapping give NaN."""

    class Explodes(kmf.tuning.MappingHyperModel):
        def fit(self, hp, model, *args, **kwargs):
            if hp.get("mapping") == mapping:
                weights = model.discriminator.get_weights()
                weights[0] = np.full_like(weights[0], np.nan)
                model.discriminator.set_weights(weights)
            return super().fit(hp, model, *args, **kwargs)

    return Explodes(
        problem.generator,
        problem.discriminator,
        problem.Gap(),
        samples=32,
        space=problem.SPACE,
    )


@pytest.mark.slow
def test_a_trial_of_nan_fails_early_and_the_search_goes_on(tmp_path, capsys):
    # NaN in the first batch is an error of the data for `fit`: let it pass.
    model = explode_in("vanilla")
    tuner = problem.search(problem.tuner(tmp_path, model), epochs=3)
    table = kmf.tuning.results_table(tuner)
    assert [row["status"] for row in table] == ["COMPLETED", "FAILED", "FAILED"]
    assert table[0]["mapping"] == "identity"
    assert "NaN" in table[-1]["message"] or "nan" in table[-1]["message"]
    assert "val_gap" not in table[-1]
    assert "FAILED" in str(table)


@pytest.mark.slow
def test_a_loss_that_explodes_fails(tmp_path):
    model = problem.hypermodel(divergence_limit=1e-3)
    tuner = problem.tuner(tmp_path, model, kt.RandomSearch, max_trials=1)
    table = kmf.tuning.results_table(problem.search(tuner, epochs=5))
    assert table[0]["status"] == "FAILED"
    assert "diverged in epoch 1" in table[0]["message"]


def test_losses_are_no_objective(tmp_path):
    objective = kt.Objective("generator_loss", "min")
    tuner = problem.tuner(tmp_path, objective=objective, max_trials=1)
    with pytest.raises(kt.errors.FatalValueError, match="val_gap"):
        problem.search(tuner)


@pytest.mark.slow
def test_directions_and_several_objectives(tmp_path):
    model = problem.hypermodel(metrics=[problem.Near(), problem.Gap()])
    assert model.objective == kt.Objective("val_near", "max")
    tuner = problem.tuner(
        tmp_path, model, max_trials=2, objective=model.objectives
    )
    table = kmf.tuning.results_table(problem.search(tuner))
    for row in table:
        total = row["val_gap"] - row["val_near"]
        assert row["multi_objective"] == pytest.approx(total, rel=1e-6)


@pytest.mark.slow
def test_every_leaves_gaps_that_do_no_harm(tmp_path):
    model = problem.hypermodel(every=2)
    tuner = problem.tuner(tmp_path, model, max_trials=1)
    (row,) = kmf.tuning.results_table(problem.search(tuner, epochs=3))
    assert row["status"] == "COMPLETED"
    model = problem.hypermodel(every=9)
    tuner = problem.tuner(tmp_path / "never", model, max_trials=1)
    with pytest.raises(kt.errors.FatalValueError, match=r"epochs=3.*every=9"):
        problem.search(tuner, epochs=3)


def test_hyperband_takes_one_seed(tmp_path):
    model = problem.hypermodel(seeds=(0, 1))
    tuner = problem.tuner(tmp_path, model, kt.Hyperband, max_epochs=3)
    with pytest.raises(kt.errors.FatalValueError, match="one seed"):
        problem.search(tuner)


@pytest.mark.slow
def test_tensorboard_of_each_seed(tmp_path):
    pytest.importorskip("tensorboard")
    pytest.importorskip("tensorflow")
    model = problem.hypermodel(seeds=(0, 1))
    tuner = problem.tuner(tmp_path, model, max_trials=2)
    board = kmf.callbacks.TensorBoard(tmp_path / "logs")
    problem.search(tuner, callbacks=[board])
    folders = {path.parent for path in tmp_path.glob("logs/*/*/*/train")}
    names = {"/".join(f.relative_to(tmp_path / "logs").parts) for f in folders}
    ids = [row["trial"] for row in kmf.tuning.results_table(tuner)]
    assert names == {
        f"{trial}/execution0/seed_{seed}" for trial in ids for seed in (0, 1)
    }
    for folder in folders:
        assert list(folder.glob("events*"))  # with the hyperparameters
