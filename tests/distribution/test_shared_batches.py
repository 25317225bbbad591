"""Several devices or processes give the weights of one.

Each test starts processes of its own, since the number of devices is fixed
when a backend starts.
"""

import os
import pathlib
import signal
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
import shared_run

pytestmark = pytest.mark.slow

SCRIPT = pathlib.Path(__file__).with_name("shared_run.py")
BACKEND = keras.backend.backend()
TIMEOUT = 900

processes_only = pytest.mark.skipif(
    BACKEND == "tensorflow",
    reason="Keras cannot train with MultiWorkerMirroredStrategy.",
)
devices_only = pytest.mark.skipif(
    BACKEND == "torch", reason="PyTorch trains with one device a process."
)


def start(folder, *arguments):
    path = os.pathsep.join([str(SCRIPT.parents[2]), *sys.path[1:]])
    settings = {
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    if "virtual" in arguments:
        flag = "--xla_force_host_platform_device_count=4"
        # Threads: with one a device, a busy one makes XLA give up.
        settings.update(XLA_FLAGS=flag, NPROC="16")
    return subprocess.Popen(
        [sys.executable, SCRIPT, folder, *map(str, arguments)],
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(processes):
    """Returns the exit codes and what was written to stderr."""
    try:
        errors = [p.communicate(timeout=TIMEOUT)[1] for p in processes]
    finally:
        for process in processes:
            process.kill()
    return [p.returncode for p in processes], errors


def start_pair(folder, models, *killed_round):
    """Starts two processes that meet at a port that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return [
        start(folder, "process", models, i, 2, port, *killed_round)
        for i in (0, 1)
    ]


def load(path):
    with np.load(path) as arrays:
        return dict(arrays)


def assert_close(actual, expected, without=()):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        if any(word in name for word in without):
            continue
        # A velocity from kernels is steep: rounding shows more.
        tolerance = 1e-4 if " look " in name else 1e-5
        np.testing.assert_allclose(
            actual[name], value, rtol=tolerance, atol=tolerance, err_msg=name
        )


def assert_trained(arrays):
    """Guards against a comparison of runs that stood still."""
    logs = [v for k, v in arrays.items() if " log " in k]
    assert all(np.isfinite(v).all() for v in logs)
    assert any(np.ptp(v) > 1e-3 for v in logs)


@pytest.fixture(scope="module")
def alone():
    """What this process gets with one device."""
    arrays = {}
    for name in shared_run.MODELS:
        arrays.update(shared_run.train(name))
    return arrays


@devices_only
def test_devices_give_the_weights_of_one(tmp_path):
    run = start(tmp_path, "virtual", ",".join(shared_run.MODELS))
    codes, errors = finish([run])
    assert codes == [0], errors[0][-3000:]
    names = {path.stem for path in tmp_path.glob("*.npz")}
    one = load(tmp_path / "1.npz")
    assert_trained(one)
    several = ["2", "4", "model"] if BACKEND == "jax" else ["2", "4"]
    assert names == {"1", *several}
    for name in several:
        models = ("gan",) if name == "4" else tuple(shared_run.MODELS)
        expected = {k: v for k, v in one.items() if k.startswith(models)}
        assert_close(load(tmp_path / f"{name}.npz"), expected)


@processes_only
def test_processes_give_the_weights_of_one(tmp_path, alone):
    codes, errors = finish(start_pair(tmp_path, ",".join(shared_run.MODELS)))
    assert codes == [0, 0], errors[0][-3000:]
    assert_trained(alone)
    for i in (0, 1):
        assert_close(load(tmp_path / f"process{i}.npz"), alone)


@processes_only
def test_killed_process_stops_the_others_and_all_resume(tmp_path, alone):
    codes, errors = finish(start_pair(tmp_path, "w1fe", 4))
    assert codes[0] != 0
    assert codes[1] == -signal.SIGKILL, errors[1][-3000:]
    assert "start all processes again" in errors[0]
    assert (tmp_path / "backup" / "latest.weights.h5").exists()
    codes, errors = finish(start_pair(tmp_path, "w1fe"))
    assert codes == [0, 0], errors[0][-3000:]
    expected = {k: v for k, v in alone.items() if k.startswith("w1fe")}
    for i in (0, 1):
        # The logs are those of the second epoch only.
        resumed = load(tmp_path / f"process{i}.npz")
        assert_close(resumed, expected, without=["log"])
        assert all(len(v) == 1 for k, v in resumed.items() if " log " in k)
