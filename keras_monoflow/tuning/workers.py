"""A search by several processes on one machine."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from keras_monoflow.arguments import check_integer

#: Runs a command that Linux kills when the process `argv[1]` has ended.
_WITH_PARENT = """
import os, signal, sys
try:
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
except (ImportError, OSError, AttributeError):
    pass
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""


def run_workers(
    command: Sequence[str],
    workers: int = 2,
    restarts: int = 3,
    address: str = "127.0.0.1",
) -> None:
    """Runs a script that searches as KerasTuner's chief and its workers.

    All processes run the same command: the chief keeps the oracle, and each
    worker asks it for trials. They find each other by the environment variables
    of KerasTuner, `KERASTUNER_TUNER_ID`, `KERASTUNER_ORACLE_IP` and
    `KERASTUNER_ORACLE_PORT`; on several machines that share a folder, set these
    by hand. The command must use one `directory` and `project_name`, and do
    nothing after `search` that only one process should do.

    A worker that dies is started again and repeats the trial that it was at.
    When this process is interrupted or terminated (SIGTERM), or on Linux killed
    in whatever way, the chief and the workers end with it; elsewhere, a SIGKILL
    leaves them running, and they must be ended by hand. The next call goes on
    with the finished trials.

    Args:
        command: List of strings, such as `[sys.executable, "search.py"]`.
        workers: Integer, the number of workers.
        restarts: Integer, how often dead workers are started again in all.
        address: The address of this machine at which the chief listens.

    Raises:
        RuntimeError: If workers died more often than `restarts`, or the chief
            died.
        ValueError: If a number is out of its range.
    """
    workers = check_integer("workers", workers, minimum=1)
    restarts = check_integer("restarts", restarts, minimum=0)
    environment = {
        **os.environ,
        "KERASTUNER_ORACLE_IP": address,
        "KERASTUNER_ORACLE_PORT": str(_free_port(address)),
    }

    def start(name):
        return subprocess.Popen(
            _ending_with_this_process(command),
            env={**environment, "KERASTUNER_TUNER_ID": name},
        )

    processes = {}
    with _exit_on_sigterm():
        try:
            # "tuner0" is the name that KerasTuner gives a search of one process
            # that reads the folder later.
            for name in ("chief", *(f"tuner{i}" for i in range(workers))):
                processes[name] = start(name)
            _watch(processes, start, restarts)
        finally:
            # The chief has written every trial that ended, and would look for
            # the end of the workers only every 20 seconds.
            for process in processes.values():
                process.kill()
                process.wait()


def _ending_with_this_process(command):
    if sys.platform != "linux" or not sys.executable:
        return command
    python = [sys.executable, "-I", "-S", "-c", _WITH_PARENT]
    return [*python, str(os.getpid()), *command]


@contextlib.contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Inside, SIGTERM is an exception, unless the program does something else.

    By default it would end Python before any `finally`.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def exit_now(number, frame):
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, exit_now)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _watch(processes, start, restarts):
    """Returns when all workers are done; starts dead ones again."""
    while True:
        codes = {name: p.poll() for name, p in processes.items()}
        chief = codes.pop("chief")
        if all(code == 0 for code in codes.values()):
            return
        if chief not in (None, 0):
            raise RuntimeError(
                f"The chief of the search ended with {chief}. Its output says "
                "why. The finished trials are kept."
            )
        for name, code in codes.items():
            if code in (None, 0):
                continue
            if restarts == 0:
                raise RuntimeError(
                    f"{name} ended with {code}, and no restarts are left. Its "
                    "output says why. The finished trials are kept."
                )
            restarts -= 1
            print(f"{name} ended with {code}: it is started again.")
            processes[name] = start(name)
        time.sleep(0.5)


def _free_port(address):
    with socket.socket() as listener:
        listener.bind((address, 0))
        return listener.getsockname()[1]
