"""A run that was interrupted ends as if it had not been."""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import resume_run

import keras_monoflow as kmf

SCRIPT = pathlib.Path(__file__).with_name("resume_run.py")


@pytest.fixture(params=["in_order", "shuffled"])
def order(request):
    return request.param


def run_process(folder, order, action):
    root = SCRIPT.parents[2]
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), order, action],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


def saved_state(folder, action):
    with np.load(folder / f"{action}.npz") as arrays:
        return [arrays[name] for name in arrays.files]


def assert_same(actual, expected):
    assert len(actual) == len(expected)
    for i, (a, b) in enumerate(zip(actual, expected)):
        np.testing.assert_array_equal(a, b, err_msg=f"variable {i}")


def uninterrupted(order):
    keras.utils.set_random_seed(11)
    gan = resume_run.make_model()
    resume_run.train(gan, order, resume_run.EPOCHS)
    return resume_run.state(gan)


def test_keras_file_continues_in_a_new_process(tmp_path, order):
    keras.utils.set_random_seed(11)
    gan = resume_run.make_model()
    resume_run.train(gan, order, resume_run.HALF)
    gan.save(tmp_path / "half.keras")
    half = resume_run.state(gan)
    done = run_process(tmp_path, order, "load")
    assert done.returncode == 0, done.stderr[-2000:]
    resumed = saved_state(tmp_path, "load")
    assert_same(resumed, uninterrupted(order))
    # It was not a comparison of standstills.
    assert any(not np.array_equal(a, b) for a, b in zip(half, resumed))


def test_backup_continues_after_kill_9(tmp_path, order):
    killed = run_process(tmp_path, order, "killed")
    assert killed.returncode == -9, killed.stderr[-2000:]
    assert (tmp_path / "backup" / "latest.weights.h5").exists()
    assert not (tmp_path / "killed.npz").exists()
    restored = run_process(tmp_path, order, "restored")
    assert restored.returncode == 0, restored.stderr[-2000:]
    assert_same(saved_state(tmp_path, "restored"), uninterrupted(order))


def test_looking_on_changes_nothing(tmp_path, order, rng):
    class LookOn(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.evaluate(x, verbose=0)
            self.model.sample(5, seed=epoch)
            self.model.sample(5)
            self.model.velocity(x)
            self.model.log_ratio(x)

    x = rng.normal(size=(40, 2)).astype("float32")
    watchers = [
        kmf.callbacks.SampleScatter(tmp_path, data=x, samples=32),
        LookOn(),
    ]
    expected = uninterrupted(order)
    keras.utils.set_random_seed(11)
    gan = resume_run.make_model()
    resume_run.train(
        gan,
        order,
        resume_run.EPOCHS,
        callbacks=watchers,
        validation_data=x,
    )
    ignored = gan.evaluation_seed.state
    names = [v for v in gan.variables + gan.optimizer.variables]
    for variable, a, b in zip(names, resume_run.state(gan), expected):
        if variable is not ignored:
            np.testing.assert_array_equal(a, b, err_msg=variable.path)


def test_resuming_with_other_networks_says_so(tmp_path):
    gan = resume_run.make_model()
    gan.save_weights(tmp_path / "a.weights.h5")
    other = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(2, 2, units=(3,)),
        kmf.networks.mlp_discriminator(2, units=(3,)),
    )
    with pytest.raises(ValueError, match="other networks"):
        other.load_weights(tmp_path / "a.weights.h5")
