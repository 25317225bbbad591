"""DistributionMetrics: what fit logs, evaluate returns and files keep."""

import csv

import keras
import numpy as np
import pytest
from helpers import ROLES, make_flow, slow_except
from keras import ops

import keras_monoflow as kmf

DistributionMetrics = kmf.callbacks.DistributionMetrics


class Gap(kmf.metrics.DistributionMetric):
    """Distance of the means, so that the tests need no other package."""

    default_name = "gap"

    def compute(self, real, generated):
        return np.linalg.norm(real.mean(axis=0) - generated.mean(axis=0))


keras.saving.register_keras_serializable("tests")(Gap)


def fit(model, data, callbacks, **kwargs):
    arguments = {"batch_size": 32, "epochs": 3, "verbose": 0, **kwargs}
    return model.fit(data, callbacks=callbacks, **arguments).history


def gap_now(model, real, seed):
    return np.linalg.norm(
        real.mean(axis=0) - model.sample(len(real), seed=seed).mean(axis=0)
    )


@pytest.mark.parametrize("flow", slow_except(["monoflow"], sorted(ROLES)))
def test_logs_and_evaluate(flow, data, rng):
    model, test = make_flow(flow), rng.normal(size=(40, 2)).astype("float32")
    callback = DistributionMetrics(Gap(), seed=4)
    history = fit(model, data, [callback], validation_data=test)
    assert len(history["val_gap"]) == 3
    now = gap_now(model, test, seed=4)
    np.testing.assert_allclose(history["val_gap"][-1], now, rtol=1e-5)
    results = model.evaluate(test, verbose=0, return_dict=True)
    np.testing.assert_allclose(results["gap"], now, rtol=1e-5)
    as_list = model.evaluate(test, verbose=0)
    np.testing.assert_allclose(as_list[-1], now, rtol=1e-5)
    assert len(as_list) == len(results)


def test_all_other_callbacks_see_them(data, tmp_path):
    seen = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(logs["val_gap"])
    )
    path = tmp_path / "log.csv"
    stop = keras.callbacks.EarlyStopping(
        monitor="val_gap", mode="max", patience=0, baseline=1e9
    )
    history = fit(
        make_flow("monoflow"),
        data,
        [
            look,
            keras.callbacks.CSVLogger(path),
            stop,
            DistributionMetrics(Gap()),
        ],
    )
    assert seen == history["val_gap"]
    assert len(seen) == 2  # stopped early
    with open(path) as file:
        assert float(next(csv.DictReader(file))["val_gap"]) == seen[0]


def features():
    """A trained network that does not depend on the seeds of the tests."""
    network = keras.Sequential(
        [keras.layers.Input((2,)), keras.layers.Dense(3, activation="tanh")]
    )
    network.set_weights(
        [
            w + 0.5 * np.arange(1, 1 + w.size).reshape(w.shape) / w.size
            for w in network.get_weights()
        ]
    )
    return network


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", slow_except(["gap"], ["gap", "frechet_distance"])
)
def test_checkpoint_of_the_best_evaluates_to_the_same(name, data, tmp_path):
    metric = Gap() if name == "gap" else kmf.metrics.FrechetDistance(features())
    model, path = make_flow("monoflow", ema=0.9), tmp_path / "best.keras"
    save = keras.callbacks.ModelCheckpoint(
        path, monitor=f"val_{name}", mode="min", save_best_only=True
    )
    metrics = DistributionMetrics([metric], samples=25, seed=4)
    history = fit(model, data, [save, metrics], validation_data=data)
    best = keras.saving.load_model(path)
    results = best.evaluate(data, verbose=0, return_dict=True)
    values = history[f"val_{name}"]
    assert len(set(values)) == 3
    np.testing.assert_allclose(results[name], min(values), rtol=1e-6)


@pytest.mark.slow
def test_backups_keep_the_networks_of_metrics(data, tmp_path):
    def make(network):
        model = make_flow("monoflow")
        model.distribution_metrics = DistributionMetrics(
            kmf.metrics.FrechetDistance(network), samples=25
        )
        return model

    model = make(features())
    expected = model.evaluate(data, verbose=0, return_dict=True)
    model.save_weights(tmp_path / "now.weights.h5")
    other = make(keras.models.clone_model(features()))
    other.load_weights(tmp_path / "now.weights.h5")
    results = other.evaluate(data, verbose=0, return_dict=True)
    assert results["frechet_distance"] == pytest.approx(
        expected["frechet_distance"], rel=1e-6
    )


@pytest.mark.slow
def test_evaluate_on_a_generator_leaves_them_out(data):
    def batches():
        for start in range(0, len(data), 32):
            yield (data[start : start + 32],)

    model = make_flow("monoflow")
    fit(model, data, [DistributionMetrics(Gap())], epochs=1)
    with pytest.warns(UserWarning, match="read only once"):
        results = model.evaluate(batches(), verbose=0, return_dict=True)
    expected = model.evaluate(data, batch_size=32, verbose=0, return_dict=True)
    assert expected.pop("gap") > 0
    assert results == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_every_leaves_gaps(data):
    history = fit(
        make_flow("monoflow"), data, [DistributionMetrics(Gap(), every=2)]
    )
    assert list(np.isnan(history["val_gap"])) == [True, False, True]


def test_the_real_side_is_made_once(data):
    made = []

    def features(x):
        made.append(len(x))
        return np.reshape(x, (len(x), -1))

    metric = kmf.metrics.FrechetDistance(features)
    # Of 48 particles, fewer than there are samples.
    for flow in ("monoflow", "free_particles"):
        made.clear()
        callback = DistributionMetrics(metric, samples=60)
        fit(make_flow(flow), data, [callback])
        # A try with the real side for both, and three generated ones.
        assert len(made) == 5, flow


def test_an_order_that_changes_changes_no_evaluation(data):
    """Each epoch of the data leaves out other rows."""
    held_out = kmf.datasets.ShuffledDataset(
        data[:50], batch_size=32, drop_remainder=True
    )
    model = make_flow("monoflow")
    first, *others = (model.evaluate(held_out, verbose=0) for _ in range(3))
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_validation_goes_on_as_if_never_stopped(data):
    """Each epoch of a run that goes on sees the same held-out batches."""

    def run(stops):
        keras.utils.set_random_seed(0)
        model, history = make_flow("monoflow"), []
        for start, end in stops:
            held_out = kmf.datasets.ShuffledDataset(
                data[:50], batch_size=32, drop_remainder=True
            )
            found = model.fit(
                kmf.datasets.ShuffledDataset(data, batch_size=32),
                initial_epoch=start,
                epochs=end,
                validation_data=held_out,
                verbose=0,
            ).history
            history += found["val_discriminator_loss"]
            assert held_out.epoch == 0
        return history

    np.testing.assert_array_equal(run([(0, 4)]), run([(0, 2), (2, 4)]))


def test_which_real_samples(data, rng):
    callback = DistributionMetrics(Gap(), samples=20)
    chosen, labels = callback.choose(data)
    assert chosen.shape == (20, 2)
    assert labels is None
    rows = {tuple(row) for row in data}
    assert all(tuple(row) in rows for row in chosen)
    np.testing.assert_array_equal(callback.choose(data)[0], chosen)
    other = DistributionMetrics(Gap(), samples=20, seed=1)
    assert (other.choose(data)[0] != chosen).any()
    # Pairs keep together, and generated samples get the labels.
    y = np.arange(len(data))
    x = np.stack([y, -y], axis=1)
    chosen, labels = callback.choose(x, y)
    np.testing.assert_array_equal(chosen[:, 0], labels)
    assert labels.max() >= 20
    # The first ones of a stream of batches.
    batches = kmf.datasets.ShuffledDataset(x, y, batch_size=8, seed=0)
    chosen, labels = callback.choose(batches)
    assert chosen.shape == (20, 2)
    np.testing.assert_array_equal(chosen[:, 0], labels)
    # Validation data come before those of the training.
    callback.use_data(x, y, (x[-3:], y[-3:]))
    np.testing.assert_array_equal(callback.held_out[0], x[-3:])
    np.testing.assert_array_equal(callback.held_out[1], y[-3:])
    with pytest.raises(ValueError, match="`real`"):
        callback.choose(iter([data]))
    own = DistributionMetrics(Gap(), real=rng.normal(size=(10, 2)) + 50.0)
    history = fit(make_flow("monoflow"), data, [own])
    assert min(history["val_gap"]) > 40


@pytest.mark.parametrize("parts", [False, True])
def test_the_real_samples_of_a_data_set_are_always_the_same(data, parts):
    """Whatever epoch it stands at, and it goes on from there."""
    x = {"a": data, "b": data} if parts else data
    batches = kmf.datasets.ShuffledDataset(x, batch_size=8, seed=0)
    seen = batches
    if parts:
        rows = kmf.data.rows_of_data(batches, None, kmf.data.joined, None)
        seen, _ = rows
    callback = DistributionMetrics(Gap(), samples=20)
    first, _ = callback.choose(seen)
    batches.set_epoch(3)
    callback.use_data(seen, None, None)
    np.testing.assert_array_equal(callback.held_out[0], first)
    assert batches.epoch == 3


class Endless(keras.utils.PyDataset):
    """Has no last batch."""

    num_batches = None

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __getitem__(self, i):
        return self.batches[i % len(self.batches)]


def test_endless_data(data, recwarn):
    """The first samples of as many batches as it takes."""
    model, callback = (
        make_flow("monoflow"),
        DistributionMetrics(Gap(), samples=20),
    )
    batches = data[:8], data[8:16]
    model.fit(
        Endless(batches), steps_per_epoch=2, verbose=0, callbacks=[callback]
    )
    real, _ = callback.held_out
    np.testing.assert_array_equal(real, np.concatenate([data[:16], data[:4]]))
    assert not any("shuffle=True" in str(w.message) for w in recwarn.list)


def test_labels_of_the_real_samples_are_generated():
    class Echo:
        def sample(self, n, seed, labels):
            return np.stack([labels, labels], axis=1).astype("float64")

    callback = DistributionMetrics(Gap())
    real = np.full((5, 2), 3.0), np.full(5, 3)
    assert callback.measure(Echo(), real) == {"gap": 0.0}


def test_which_are_the_real_ones(data):
    class MeanOfReal(Gap):
        def compute(self, real, generated):
            return real.mean()

    callback = DistributionMetrics(MeanOfReal())
    values = callback.measure(make_flow("monoflow"), (data, None))
    assert values["gap"] == pytest.approx(data.mean(), rel=1e-5)


@pytest.mark.slow
def test_validation_split_is_held_out(data):
    callback = DistributionMetrics(Gap())
    model = make_flow("monoflow")
    fit(model, data, [callback], epochs=1, validation_split=0.25)
    first = int(0.75 * len(data))
    np.testing.assert_array_equal(callback.held_out[0], data[first:])


def test_fewer_particles_than_samples(data):
    model = make_flow("particles")  # of 48
    callback = DistributionMetrics(Gap())
    history = fit(model, data, [callback], epochs=1)
    expected = gap_now(model, data[:48], seed=0)
    assert history["val_gap"][0] == pytest.approx(expected, rel=1e-5)


def test_configuration():
    callback = DistributionMetrics(Gap("other"), every=3, samples=5, seed=7)
    copy = DistributionMetrics.from_config(callback.get_config())
    assert (copy.every, copy.samples, copy.seed) == (3, 5, 7)
    assert copy.metrics[0].name == "other"


@pytest.mark.slow
def test_training_is_left_alone(data):
    weights = []
    for callbacks in ([], [DistributionMetrics(Gap())]):
        keras.utils.set_random_seed(3)
        model = make_flow("monoflow")
        fit(model, data, callbacks)
        weights.append(model.get_weights())
    for a, b in zip(*weights):
        np.testing.assert_array_equal(a, b)


def test_a_diverged_run_logs_nan(data):
    model = make_flow("monoflow")
    callback = DistributionMetrics(Gap())
    generated = np.ones((len(data), 2))
    generated[5, 0] = np.nan
    model.sample = lambda n, seed: generated
    assert np.isnan(callback.measure(model, (data, None))["gap"])


@pytest.mark.slow
def test_metrics_that_cannot_be_saved(data, tmp_path):
    class Local(Gap):
        def get_config(self):
            raise ValueError("has a lambda")

    model = make_flow("monoflow")
    fit(model, data, [DistributionMetrics(Local())], epochs=1)
    with pytest.warns(UserWarning, match="has a lambda"):
        model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.distribution_metrics is None
    a, b = (
        ops.convert_to_numpy(loaded.generator.weights[0]),
        (ops.convert_to_numpy(model.generator.weights[0])),
    )
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"metrics": [lambda real, generated: 0.0]}, "metrics"),
        ({"metrics": []}, "at least one"),
        ({"metrics": [Gap(), Gap()]}, "gap.*name="),
        ({"every": 0}, "every=0"),
        ({"samples": 0}, "samples=0"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises((TypeError, ValueError), match=words):
        DistributionMetrics(**{"metrics": Gap(), **arguments})
