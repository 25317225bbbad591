"""Kills a training at each system call with which it writes a backup.

    KERAS_BACKEND=torch python tests/benchmarks/kills_at_system_calls.py
    ... --backup checkpoint --most 40

A run stops itself before it writes the backup of its second epoch. `strace`
watches which system calls on files the write then makes. For each of them
another run is killed with SIGKILL as it makes that call, and started again.
Prints the calls after which the run did not end with the weights, optimizer
slots and seeds of a run that was never killed, and how many there were.

Needs Linux and strace.
"""

import argparse
import collections
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import traceback

import keras
import kills
import machine

import keras_monoflow  # noqa: F401

# All that a run imports is imported once, for all of them.
with contextlib.suppress(ImportError):
    import tensorflow  # noqa: F401 (Keras does so on any backend)

EPOCHS = 4
#: A file that is asked for when the write is over.
END = "the_backup_is_written"


def stop_before_the_second(callback):
    """Lets a callback stop its process, write, and say that it is done."""
    write = callback.on_epoch_end

    def on_epoch_end(epoch, logs=None):
        if epoch == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        write(epoch, logs)
        if epoch == 1:
            os.path.exists(END)

    callback.on_epoch_end = on_epoch_end


def start(folder, backup, stops):
    """Starts a run in a copy of this process, and returns its number."""
    folder.mkdir(exist_ok=True)
    number = os.fork()
    if number == 0:
        try:
            change = stop_before_the_second if stops else id
            kills.train(folder, backup, EPOCHS, change)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return number


def end_of(number):
    """Waits for a run, and returns how it ended, as `subprocess` does."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def write_under_strace(folder, backup, options):
    """Trains to the second backup, and writes it under strace.

    Returns:
        How the process ended, and the lines that strace wrote.
    """
    number = start(folder, backup, stops=True)
    _, status = os.waitpid(number, os.WUNTRACED)
    assert os.WIFSTOPPED(status), "The run ended before its second backup."
    trace = folder / "trace.txt"
    command = ["strace", "-p", str(number), "-o", str(trace), *options]
    tracer = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    while "attached" not in tracer.stderr.readline():
        if tracer.poll() is not None:
            sys.exit("strace cannot attach to a process here.")
    os.kill(number, signal.SIGCONT)
    code = end_of(number)
    tracer.wait()
    return code, trace.read_text().splitlines()


def calls_of_a_write(folder, backup):
    """Returns the system calls on files of a write, `(name, count)`."""
    options = ["-e", "trace=%file,%desc"]
    code, lines = write_under_strace(folder, backup, options)
    assert code == 0
    calls, counts = [], collections.Counter()
    for line in lines:
        if END in line:
            return calls
        if call := re.match(r"(\w+)\(", line):
            counts[call[1]] += 1
            calls.append((call[1], counts[call[1]]))
    sys.exit("The write did not end.")


def killed_at(folder, backup, name, count):
    """Kills a run at a call, and starts it again.

    Returns:
        Whether it was killed, and whether it then came to its end.
    """
    inject = f"inject={name}:signal=KILL:when={count}"
    options = ["-e", f"trace={name}", "-e", inject]
    code, _ = write_under_strace(folder, backup, options)
    again = end_of(start(folder, backup, stops=False))
    return code == -signal.SIGKILL, again == 0


def chosen(calls, most):
    """At most so many of them, at equal distances."""
    if most is None or len(calls) <= most:
        return calls
    return [calls[i * len(calls) // most] for i in range(most)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--backup", choices=kills.BACKUPS, default="ours")
    add("--most", type=int, help="kills, of calls at equal distances")
    arguments = parser.parse_args()
    backup = arguments.backup
    machine.print_description()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        calls = calls_of_a_write(folder / "whole", backup)
        names = collections.Counter(name for name, _ in calls)
        print(f"{backup}: {len(calls)} calls a write: {dict(names)}")
        killed, others, points = 0, 0, chosen(calls, arguments.most)
        bar = keras.utils.Progbar(len(points))
        for i, (name, count) in enumerate(points):
            run = folder / str(i)
            was_killed, ends = killed_at(run, backup, name, count)
            killed += was_killed
            if not ends or not kills.is_same(folder / "whole", run):
                others += 1
                what = "other weights" if ends else "an error"
                print(f"\n{what} after a kill at {name}, no. {count}")
            bar.add(1)
    print(f"{backup}: killed {killed} of {len(points)} times, {others} other")
    return 0 if killed == len(points) and not others else 1


if __name__ == "__main__":
    sys.exit(main())
