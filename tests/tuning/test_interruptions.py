"""Searches that are killed, and those of several processes."""

import collections
import os
import pathlib
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("keras_tuner")

import problem

import keras_monoflow as kmf

pytestmark = [pytest.mark.slow, pytest.mark.take_turns]

SCRIPT = pathlib.Path(__file__).with_name("search_run.py")
TRIALS = [f"{i:04d}" for i in range(3)]


@pytest.fixture
def environment(monkeypatch):
    path = os.pathsep.join([str(SCRIPT.parents[2]), *sys.path[1:]])
    monkeypatch.setenv("PYTHONPATH", path)


def log(folder):
    lines = (folder / "log").read_text().splitlines()
    return collections.Counter(lines)


def check_results(folder):
    """The results on disk are those of fits by hand."""
    table = kmf.tuning.results_table(problem.tuner(folder))
    assert sorted(row["trial"] for row in table) == TRIALS
    assert {row["status"] for row in table} == {"COMPLETED"}
    for row in (table[0], table[-1]):
        expected = problem.fit_by_hand(row, seed=0)
        assert row["val_gap"] == pytest.approx(expected, rel=1e-5)


def test_killed_search_goes_on(tmp_path, environment):
    command = [sys.executable, SCRIPT, tmp_path, TRIALS[1]]
    assert subprocess.run(command, capture_output=True).returncode == -9
    assert log(tmp_path)[f"end {TRIALS[0]}"] == 1
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr[-2000:]
    counts = log(tmp_path)
    for trial in TRIALS:
        assert counts[f"end {trial}"] == 1
        # Only the one that was interrupted began twice.
        assert counts[f"begin {trial}"] == 1 + (trial == TRIALS[1])
    check_results(tmp_path)


def test_two_workers_of_which_one_dies(tmp_path, environment, capfd):
    kmf.tuning.run_workers([sys.executable, SCRIPT, tmp_path, TRIALS[1]], 2)
    assert "ended with -9: it is started again" in capfd.readouterr().out
    counts = log(tmp_path)
    for trial in TRIALS:
        assert counts[f"end {trial}"] == 1
        assert counts[f"begin {trial}"] == 1 + (trial == TRIALS[1])
    check_results(tmp_path)


#: Says who it is, and after a while that it is still there.
WAITS = """
import os, time
# (`print` writes the end of the line by itself, so that two lines may mix.)
os.write(1, (os.environ["KERASTUNER_TUNER_ID"] + "\\n").encode())
time.sleep(20)
print("survived", flush=True)
"""

#: Starts a chief and a worker that wait.
STARTS = f"""
import sys
from keras_monoflow.tuning.workers import run_workers
run_workers([sys.executable, "-c", {WAITS!r}], workers=1)
"""


def signals():
    if os.name != "posix":
        return []
    killed = [signal.SIGKILL] if sys.platform == "linux" else []
    return [signal.SIGTERM, *killed]


@pytest.mark.parametrize("number", signals())
def test_workers_end_with_the_process_that_started_them(environment, number):
    parent = subprocess.Popen(
        [sys.executable, "-c", STARTS],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with parent:
        names = {parent.stdout.readline().strip() for _ in range(2)}
        assert names == {"chief", "tuner0"}
        parent.send_signal(number)
        # It is closed when the last of the three has ended.
        assert parent.stdout.read() == ""
    exits = {signal.SIGTERM: 128 + signal.SIGTERM}
    assert parent.returncode == exits.get(number, -number)


def test_sigterm_means_afterwards_what_it_meant_before():
    command = [sys.executable, "-c", ""]
    seen = []

    def handle(number, frame):
        seen.append(number)

    for before in (signal.SIG_DFL, handle):
        own = signal.signal(signal.SIGTERM, before)
        try:
            kmf.tuning.run_workers(command, workers=1)
            assert signal.getsignal(signal.SIGTERM) is before
        finally:
            signal.signal(signal.SIGTERM, own)
    # Other threads cannot handle signals.
    with ThreadPoolExecutor() as pool:
        pool.submit(kmf.tuning.run_workers, command, 1).result()


def test_workers_that_cannot_work(capfd):
    command = [
        sys.executable,
        "-c",
        "import os, time\n"
        "if os.environ['KERASTUNER_TUNER_ID'] == 'chief': time.sleep(60)\n"
        "raise SystemExit(3)",
    ]
    with pytest.raises(RuntimeError, match="tuner0 ended with 3, and no"):
        kmf.tuning.run_workers(command, workers=1, restarts=2)
    assert capfd.readouterr().out.count("is started again") == 2
    with pytest.raises(RuntimeError, match="chief of the search ended with 3"):
        kmf.tuning.run_workers(
            [sys.executable, "-c", command[2].replace("60", "0")]
        )
    with pytest.raises(ValueError, match="`workers`"):
        kmf.tuning.run_workers(command, workers=0)
