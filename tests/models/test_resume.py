"""A run that was interrupted ends as if it had not been."""

import functools
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import resume_run
from helpers import ROLES, slow_except

import keras_monoflow as kmf

SCRIPT = pathlib.Path(__file__).with_name("resume_run.py")
ORDERS = ["in_order", "shuffled"]
# The order of the data does not depend on the flow: one flow shows both.
pairs = pytest.mark.parametrize(
    ("flow", "order"),
    [
        ("particles", "shuffled"),
        pytest.param("w1fe", "shuffled", marks=pytest.mark.slow),
        pytest.param("monoflow", "shuffled", marks=pytest.mark.slow),
        pytest.param("monoflow", "in_order", marks=pytest.mark.slow),
        pytest.param("w2fe", "shuffled", marks=pytest.mark.slow),
        pytest.param("samples", "shuffled", marks=pytest.mark.slow),
        pytest.param("free_particles", "shuffled", marks=pytest.mark.slow),
    ],
)


class Interrupted(Exception):
    """Stops a run as Ctrl-C does."""


def run_processes(folder, flow, action):
    """Runs the action for both orders of the data at the same time."""
    path = os.pathsep.join([str(SCRIPT.parents[2]), *sys.path[1:]])
    processes = []
    for order in ORDERS:
        (folder / order).mkdir(exist_ok=True)
        processes.append(
            subprocess.Popen(
                [sys.executable, SCRIPT, folder / order, flow, order, action],
                env={**os.environ, "PYTHONPATH": path},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return [(p.communicate()[1][-2000:], p.returncode) for p in processes]


def saved_state(folder, name):
    with np.load(folder / f"{name}.npz") as arrays:
        return [arrays[name] for name in arrays.files]


def assert_same(actual, expected):
    assert len(actual) == len(expected)
    for i, (a, b) in enumerate(zip(actual, expected)):
        np.testing.assert_array_equal(a, b, err_msg=f"variable {i}")


@functools.cache
def uninterrupted(flow, order):
    keras.utils.set_random_seed(11)
    gan = resume_run.make_model(flow)
    resume_run.train(gan, order, resume_run.EPOCHS)
    return resume_run.state(gan)


def assert_resumed(states, expected):
    assert_same(states["loaded"], expected)
    assert_same(states["restored"], expected)
    # The comparison was not of runs that stood still.
    assert not all(map(np.array_equal, states["half"], expected))


@pytest.mark.slow
@pairs
def test_a_new_model_continues_after_an_interruption(tmp_path, flow, order):
    def interrupt():
        raise Interrupted

    with pytest.raises(Interrupted):
        resume_run.start(tmp_path, flow, order, interrupt)
    assert (tmp_path / "backup" / "latest.weights.h5").exists()
    states = resume_run.resume(tmp_path, flow, order)
    assert_resumed(states, uninterrupted(flow, order))


@pytest.mark.slow
def test_new_process_continues_after_kill_9(tmp_path):
    for error, code in run_processes(tmp_path, "monoflow", "killed"):
        assert code == -9, error
    for order in ORDERS:
        assert (tmp_path / order / "backup" / "latest.weights.h5").exists()
    for error, code in run_processes(tmp_path, "monoflow", "resumed"):
        assert code == 0, error
    for order in ORDERS:
        states = {
            name: saved_state(tmp_path / order, name)
            for name in ("half", "loaded", "restored")
        }
        assert_resumed(states, uninterrupted("monoflow", order))


@pytest.mark.slow
@pytest.mark.parametrize("flow", slow_except(["monoflow"], sorted(ROLES)))
@pytest.mark.parametrize("order", slow_except(["shuffled"], ORDERS))
def test_looking_on_changes_nothing(tmp_path, flow, order, rng):
    class LookOn(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.evaluate(x, verbose=0)
            self.model.sample(5, seed=epoch)
            self.model.sample(5)
            self.model.velocity(x)
            if flow == "monoflow":
                self.model.log_ratio(x)
            if flow != "samples":  # where the velocity is not a field
                self.model.refine(x, steps=2)

    x = rng.normal(size=(40, 2)).astype("float32")
    watchers = [
        kmf.callbacks.SampleScatter(tmp_path, data=x, samples=32),
        LookOn(),
    ]
    expected = uninterrupted(flow, order)
    keras.utils.set_random_seed(11)
    gan = resume_run.make_model(flow)
    resume_run.train(
        gan,
        order,
        resume_run.EPOCHS,
        callbacks=watchers,
        validation_data=x,
    )
    ignored = gan.evaluation_seed.state
    variables = gan.variables + gan.optimizer.variables
    actual = resume_run.state(gan)
    assert len(actual) == len(expected) >= len(variables)
    for i, (a, b) in enumerate(zip(actual, expected)):
        if i >= len(variables) or variables[i] is not ignored:
            np.testing.assert_array_equal(a, b, err_msg=f"value {i}")


def test_resuming_with_other_networks_says_so(tmp_path):
    gan = resume_run.make_model("monoflow")
    gan.save_weights(tmp_path / "a.weights.h5")
    other = kmf.MonoFlowGAN(
        kmf.networks.mlp_generator(2, 2, units=(3,)),
        kmf.networks.mlp_discriminator(2, units=(3,)),
    )
    with pytest.raises(ValueError, match="other networks"):
        other.load_weights(tmp_path / "a.weights.h5")
