"""One trial, outside of a tuner: seeds, the best epoch, what it prints."""

import functools
import types

import keras
import numpy as np
import pytest
from helpers import slow_except

kt = pytest.importorskip("keras_tuner")

import problem  # noqa: E402

import keras_monoflow as kmf  # noqa: E402
from keras_monoflow.tuning.trial_callbacks import (  # noqa: E402
    fresh_callbacks,
)


def fit(hypermodel, model=None, **arguments):
    hp = kt.HyperParameters()
    model = hypermodel.build(hp) if model is None else model
    arguments = {"batch_size": 32, "epochs": 1, "verbose": 0, **arguments}
    return hypermodel.fit(hp, model, problem.data(), **arguments)


@pytest.mark.slow
def test_networks_without_a_seed_follow_that_of_the_trial():
    hypermodel = kmf.tuning.MappingHyperModel(
        lambda: kmf.networks.mlp_generator(2, 2, units=(4,)),
        lambda: kmf.networks.mlp_discriminator(2, units=(4,)),
        problem.Gap(),
        samples=32,
        seeds=3,
        space=problem.SPACE,
        prior="uniform",
    )
    models = [hypermodel.build(kt.HyperParameters()) for _ in range(2)]
    for a, b in zip(*(model.get_weights() for model in models)):
        np.testing.assert_array_equal(a, b)
    assert models[0].prior.spec == "uniform"
    # So does the order of the data, of which there are four batches.
    a, b = (fit(hypermodel, model, batch_size=8) for model in models)
    assert a == b


class Scripted(kmf.metrics.DistributionMetric):
    """One given value after another."""

    default_name = "scripted"

    def __init__(self, values, direction):
        super().__init__()
        self.direction = direction
        self.values = iter(values)

    def compute(self, real, generated):
        return next(self.values)


@pytest.mark.parametrize(("direction", "best"), [("min", 1.0), ("max", 4.0)])
def test_the_best_epoch_counts(direction, best):
    # What it gives when it is tried on the data, before training, is left out.
    tried = {"min": 0.0, "max": 9.0}[direction]
    metric = Scripted([tried, 3.0, 1.0, 4.0, 2.0], direction)
    summary = fit(problem.hypermodel(metrics=metric), epochs=4)
    assert summary == {"val_scripted": best}


def test_monitors_pass_over_epochs_without_metrics():
    metric = Scripted([9.0, 3.0, 1.0, 2.0, 4.0, 0.0], "min")
    early = keras.callbacks.EarlyStopping(
        "val_scripted", mode="min", patience=2
    )
    hypermodel = problem.hypermodel(metrics=metric, every=2)
    summary = fit(hypermodel, epochs=10, callbacks=[early])
    assert summary == {"val_scripted": 1.0}
    assert next(metric.values) == 0.0  # The fifth was not asked for.


@pytest.mark.parametrize(
    ("epochs", "start", "every"), [(2, 0, 3), (1, 0, 20), (7, 4, 4)]
)
def test_trials_without_a_measured_epoch(epochs, start, every):
    hypermodel = problem.hypermodel(every=every)
    arguments = {"epochs": epochs, "initial_epoch": start}
    message = f"epochs={epochs}.*every={every}"
    with pytest.raises(kt.errors.FatalValueError, match=message):
        fit(hypermodel, **arguments)
    # One more epoch with metrics is enough.
    arguments["epochs"] = (start // every + 1) * every
    assert np.isfinite(fit(hypermodel, **arguments)["val_gap"])


@pytest.mark.parametrize(
    "kind", [keras.callbacks.BackupAndRestore, kmf.callbacks.BackupAndRestore]
)
def test_backups_are_refused(tmp_path, kind):
    message = "BackupAndRestore.*a search resumes by itself"
    backup = kind(str(tmp_path / "backup"))
    with pytest.raises(kt.errors.FatalValueError, match=message):
        fit(problem.hypermodel(seeds=(0, 1)), callbacks=[backup])
    with pytest.raises(kt.errors.FatalValueError, match=message):
        problem.search(problem.tuner(tmp_path), callbacks=[backup])


def test_other_metrics_belong_to_the_hypermodel():
    metrics = kmf.callbacks.DistributionMetrics(problem.Near())
    with pytest.raises(kt.errors.FatalValueError, match=r"metrics=\[...\]"):
        fit(problem.hypermodel(), callbacks=[metrics])


class BreaksDown(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            weights = self.model.discriminator.get_weights()
            self.model.discriminator.set_weights([w * np.nan for w in weights])


def test_nan_in_a_later_epoch_ends_the_trial():
    with pytest.raises(kt.errors.FailedTrialError, match=r"in epoch 2: .* nan"):
        fit(problem.hypermodel(), epochs=3, callbacks=[BreaksDown()])


@pytest.mark.parametrize("verbose", slow_except([1], [0, 1, 2]))
def test_what_a_trial_prints(verbose, capsys):
    fit(problem.hypermodel(), verbose=verbose)
    printed = capsys.readouterr().out
    assert ("Seed 0: val_gap = " in printed) == (verbose > 0)
    assert ("1/1" in printed) == (verbose == 2)


def callbacks_of_a_trial(callbacks, trial_id="0007"):
    """What a trial makes of callbacks inside of a tuner."""
    hp = kt.HyperParameters()
    hp.Fixed("mapping", "identity")
    tuners = keras.callbacks.Callback()
    tuners.trial = types.SimpleNamespace(trial_id=trial_id)
    return fresh_callbacks([tuners, *callbacks], hp.values)[1:]


@pytest.mark.slow
def test_tensorboard_shows_the_hyperparameters_of_the_trial(tmp_path):
    pytest.importorskip("tensorboard")
    pytest.importorskip("tensorflow")
    from tensorboard.plugins.hparams import api

    ours = kmf.callbacks.TensorBoard(tmp_path / "logs")
    of_the_tuner = api.KerasCallback(str(tmp_path), {"mapping": "identity"})
    (board,) = callbacks_of_a_trial([ours, of_the_tuner])
    assert board.hparams["mapping"] == "identity"
    assert board.log_dir == str(tmp_path / "logs" / "0007" / "execution0")
    # Without ours, KerasTuner writes them.
    (kept,) = callbacks_of_a_trial([of_the_tuner])
    assert isinstance(kept, api.KerasCallback)


def test_a_folder_of_the_trial_is_not_nested_again(tmp_path):
    pytest.importorskip("tensorflow")
    folder = str(tmp_path / "0007" / "execution0")
    (board,) = callbacks_of_a_trial([keras.callbacks.TensorBoard(folder)])
    assert board.log_dir == folder


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("r1", kmf.penalties.R1),
        ("r2", kmf.penalties.R2),
        ("gradient_penalty", kmf.penalties.GradientPenalty),
        ("lipschitz", kmf.penalties.LipschitzPenalty),
        ("dragan", kmf.penalties.DRAGAN),
    ],
)
def test_penalties_by_name(name, cls):
    space = {"penalty": name, "penalty_weight": 0.5}
    gan = problem.hypermodel(space=space).build(kt.HyperParameters())
    (penalty,) = gan.penalties
    assert type(penalty) is cls
    assert penalty.weight == 0.5


@pytest.mark.parametrize(("persistency", "expected"), [(1, 1.0), (3, 0.25)])
def test_a_value_that_does_not_matter_has_no_effect(persistency, expected):
    hp = kt.HyperParameters()
    hp.values["persistency"] = persistency
    space = {
        "persistency": [1, 3],
        "step_size": lambda hp: hp.Fixed("half", 0.125) * 2,
    }
    gan = problem.hypermodel(space=space).build(hp)
    assert gan.step_size == expected


def twice(hp, name):
    return 2 * hp.Fixed(name, 3)


def test_an_entry_may_be_a_partial_function():
    space = {"discriminator_steps": functools.partial(twice, name="half")}
    gan = problem.hypermodel(space=space).build(kt.HyperParameters())
    assert gan.discriminator_steps == 6
