"""Callbacks that monitor a log pass over the epochs in which it is NaN."""

import keras
import numpy as np
import pytest
from helpers import make_gan

import keras_monoflow as kmf

K = keras.callbacks
NAN, INF = float("nan"), float("inf")

#: Of the values, the second is the best. With a patience of 2 the fourth ends
#: the training.
SCORES = [NAN, 3.0, NAN, 1.0, NAN, 2.0, NAN, 4.0, NAN, 0.5]
BEST, LAST = 3, 7
WATCHED = {"monitor": "score", "mode": "min"}


class Score(K.Callback):
    adds_to_logs = True

    def __init__(self, scores):
        super().__init__()
        self.scores = scores

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = self.scores[epoch]


class Weights(K.Callback):
    """Keeps the weights of all epochs."""

    def on_train_begin(self, logs=None):
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.model.get_weights())


def data():
    return np.random.default_rng(0).normal(size=(32, 2)).astype("float32")


def fit(scores, callbacks, gan=None):
    keras.utils.set_random_seed(0)
    gan = make_gan() if gan is None else gan
    history = gan.fit(
        data(),
        batch_size=16,
        epochs=len(scores),
        shuffle=False,
        callbacks=[*callbacks, Score(scores)],
        verbose=0,
    )
    return gan, history


def best_only(folder):
    return K.ModelCheckpoint(
        f"{folder}/{{epoch}}.weights.h5",
        save_best_only=True,
        save_weights_only=True,
        **WATCHED,
    )


def saved(folder):
    names = [path.name.split(".")[0] for path in folder.glob("*.h5")]
    return sorted(map(int, names))


@pytest.mark.parametrize("gap", [NAN, INF, -INF])
def test_only_values_count(tmp_path, gap):
    scores = [gap if np.isnan(score) else score for score in SCORES]
    early = K.EarlyStopping(patience=2, restore_best_weights=True, **WATCHED)
    slow = K.ReduceLROnPlateau(patience=1, factor=0.5, **WATCHED)
    keep, weights = best_only(tmp_path), Weights()
    gan, history = fit(scores, [early, slow, keep, weights])
    assert history.epoch[-1] == LAST
    assert early.best == slow.best == keep.best == 1.0
    assert early.best_epoch == BEST
    for a, b in zip(gan.get_weights(), weights.epochs[BEST], strict=True):
        np.testing.assert_array_equal(a, b)
    assert saved(tmp_path) == [2, 4]
    # The rates are logged in all epochs, and fall after the sixth and eighth.
    rates = history.history["learning_rate_generator"]
    np.testing.assert_allclose(rates, [0.1] * 6 + [0.05] * 2, rtol=1e-6)


def test_metrics_every_second_epoch(tmp_path):
    class Scripted(kmf.metrics.DistributionMetric):
        default_name = "scripted"
        values = iter([0.0, 3.0, 1.0, 2.0])  # (first tried on the data)

        def compute(self, real, generated):
            return next(self.values)

    early = K.EarlyStopping("val_scripted", mode="min", patience=6)
    metrics = kmf.callbacks.DistributionMetrics(Scripted(), every=2)
    _, history = fit([0.0] * 6, [early, metrics])
    assert history.epoch[-1] == 5
    assert (early.best, early.best_epoch, early.wait) == (1.0, 3, 1)


def test_no_epoch_with_a_value(tmp_path):
    early = K.EarlyStopping(patience=1, restore_best_weights=True, **WATCHED)
    _, history = fit([NAN] * 3, [early, best_only(tmp_path)])
    assert history.epoch == [0, 1, 2]
    assert early.best is None
    assert saved(tmp_path) == []


def test_a_checkpoint_of_all_epochs(tmp_path):
    every = K.ModelCheckpoint(
        f"{tmp_path}/{{epoch}}.weights.h5", save_weights_only=True, **WATCHED
    )
    fit(SCORES[:3], [every])
    assert saved(tmp_path) == [1, 2, 3]


class Own(K.EarlyStopping):
    """Counts the epochs that it is shown."""

    seen = 0

    def on_epoch_end(self, epoch, logs=None):
        self.seen += 1
        super().on_epoch_end(epoch, logs)


@pytest.mark.parametrize("kind", [K.EarlyStopping, Own])
@pytest.mark.parametrize("in_list", [True, False])
def test_the_callback_is_left_as_it_is(kind, in_list):
    early = kind(patience=9, **WATCHED)
    callbacks = [early, Score(SCORES)]
    gan = make_gan()
    if not in_list:
        callbacks = K.CallbackList(callbacks, add_history=True, model=gan)
    for _ in range(2):
        gan.fit(data(), batch_size=16, epochs=4, callbacks=callbacks, verbose=0)
        assert type(early) is kind
        assert "on_epoch_end" not in vars(early)
        assert early.best == 1.0
        assert early.model is gan
    if kind is Own:
        assert early.seen == 4  # in both
    early.on_epoch_end(0, {"score": 0.0})
    assert early.best == 0.0


class Killed(BaseException):
    """Ends a run as Ctrl-C does."""


@pytest.mark.slow
@pytest.mark.parametrize("killed_at", [1, 4, 5])
def test_a_killed_run_goes_on_counting(tmp_path, killed_at):
    def run(folder, killed_at=None):
        def kill(epoch, logs):
            if epoch == killed_at:
                raise Killed

        early = K.EarlyStopping(
            patience=2, restore_best_weights=True, **WATCHED
        )
        gan, history = fit(
            SCORES,
            [
                early,
                best_only(folder),
                kmf.callbacks.BackupAndRestore(folder / "backup"),
                K.LambdaCallback(on_epoch_begin=kill),
            ],
        )
        return gan, history, early

    whole, _, _ = run(tmp_path / "whole")
    with pytest.raises(Killed):
        run(tmp_path / "killed", killed_at)
    resumed, history, early = run(tmp_path / "killed")
    assert history.epoch == list(range(killed_at, LAST + 1))
    assert (early.best, early.best_epoch) == (1.0, BEST)
    assert saved(tmp_path / "killed") == saved(tmp_path / "whole") == [2, 4]
    for a, b in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
