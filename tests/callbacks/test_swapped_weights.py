"""`keras.callbacks.SwapEMAWeights` among callbacks that measure and save."""

import keras
import numpy as np
import pytest
from helpers import make_flow, numpy

import keras_monoflow as kmf

K = keras.callbacks


class Killed(BaseException):
    """Ends a run as Ctrl-C does."""


def data():
    return np.random.default_rng(0).normal(size=(32, 2)).astype("float32")


def fit(callbacks, epochs=3):
    keras.utils.set_random_seed(0)
    gan = make_flow("monoflow", use_ema=("generator", "other"))
    gan.fit(
        data(),
        batch_size=16,
        epochs=epochs,
        shuffle=False,
        callbacks=callbacks,
        verbose=0,
    )
    return gan


class Note(K.Callback):
    """Keeps a weight at the end of each epoch, at its place in the order."""

    def on_train_begin(self, logs=None):
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(numpy(self.model.generator.weights[0]).sum())


class Metrics(Note):
    adds_to_logs = True

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        logs["score"] = 1.0 / (epoch + 1)


class Checkpoint(Note, K.ModelCheckpoint):
    """Sees the score, and would save."""

    def on_epoch_end(self, epoch, logs=None):
        assert "score" in logs
        super().on_epoch_end(epoch, logs)


@pytest.mark.parametrize(
    ("order", "metrics_are_averaged", "saved_are_averaged"),
    [
        ("swap metrics save", True, True),
        ("swap save metrics", True, True),
        ("log swap save metrics", True, True),
        ("metrics swap save", False, True),
        ("metrics save swap", False, False),
        ("save metrics swap", False, False),
        # The metrics must come before what reads them.
        ("save swap metrics", False, False),
    ],
)
def test_metrics_are_those_of_what_is_saved(
    tmp_path, order, metrics_are_averaged, saved_are_averaged
):
    callbacks = {
        "swap": K.SwapEMAWeights(swap_on_epoch=True),
        "metrics": Metrics(),
        "save": Checkpoint(tmp_path / "a.keras", "score", mode="min"),
        "log": K.CSVLogger(tmp_path / "log.csv"),
    }
    fit([callbacks[name] for name in order.split()])
    raw, averaged = Metrics(), Note()
    fit([raw, K.SwapEMAWeights(swap_on_epoch=True), averaged])
    assert raw.seen[0] != averaged.seen[0]
    for name, is_averaged in [
        ("metrics", metrics_are_averaged),
        ("save", saved_are_averaged),
    ]:
        expected = averaged.seen if is_averaged else raw.seen
        # (After the last epoch both are the averages.)
        np.testing.assert_array_equal(
            callbacks[name].seen[:-1], expected[:-1], err_msg=name
        )


@pytest.mark.slow
@pytest.mark.parametrize("by_hand", [False, True])
@pytest.mark.parametrize("killed_at", [1, 3])
def test_a_killed_run_swaps_back(tmp_path, killed_at, by_hand):
    def run(killed_at=None, folder="killed"):
        def kill(epoch, logs):
            if epoch == killed_at:
                raise Killed

        swap = K.SwapEMAWeights(swap_on_epoch=True)
        if by_hand:  # as programs had to
            swap.remembers = ("_ema_weights_in_model",)
        backup = kmf.callbacks.BackupAndRestore(tmp_path / folder)
        callbacks = [swap, K.LambdaCallback(on_epoch_begin=kill), backup]
        return fit(callbacks, epochs=4)

    whole = run(folder="whole")
    with pytest.raises(Killed):
        run(killed_at)
    resumed = run()
    for a, b in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(numpy(a), numpy(b))
