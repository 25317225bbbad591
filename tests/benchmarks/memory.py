"""How much memory a training step takes, compared with a hand-written one.

    KERAS_BACKEND=jax python tests/benchmarks/memory.py --cases mnist
    KERAS_BACKEND=torch python tests/benchmarks/memory.py --batch 1024

Trains a few rounds of a case of steps.py in fresh processes, some for each
side, and prints the largest resident set that the operating system saw, less
that of a process which made the networks and the data and trained nothing,
the medians of each. This counts compilers and caches too, which on small
cases is nearly all there is. On JAX it also prints what XLA says of the
two compiled programs: the memory of temporary values, and that of arguments
(weights, optimizers, batch), which are donated.
"""

import argparse
import dataclasses
import os
import resource
import statistics
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cases
import keras
import machine
import runs

SIDES = ("ours", "theirs")
MEGABYTE = 1024 * 1024


def case_of(arguments, name):
    case = cases.CASES[name]
    return dataclasses.replace(case, batch=arguments.batch or case.batch)


def train(arguments):
    """Trains one side, and prints the largest resident set in bytes."""
    case = case_of(arguments, arguments.cases[0])
    side, rounds = arguments.side, arguments.rounds
    data = case.make_data(2 * case.batch)
    if side == "ours":
        runs.train_function(cases.make_model(case), data, case.batch)(rounds)
    elif side == "theirs":
        batches = case.make_batches(data, case.batch)
        runs.by_hand(case.make_rival(case, False), batches)(rounds)
    else:
        case.make_networks()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in kilobytes, macOS in bytes.
    print(peak if sys.platform == "darwin" else 1024 * peak)


def resident(arguments, name, side):
    """The median of some processes."""
    case = case_of(arguments, name)
    command = [sys.executable, __file__, "--cases", name, "--side", side]
    command += ["--rounds", str(arguments.rounds), "--batch", str(case.batch)]
    peaks = []
    for _ in range(arguments.repeats):
        done = subprocess.run(
            command, capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout.split()[-1]))
    return statistics.median(peaks)


def compiled(case):
    """What XLA says of both steps: {side: (temporary, arguments)} in bytes."""
    import jax

    model = cases.make_model(case)
    data = case.make_data(case.batch)
    state = runs.jax_state(model)
    ours = jax.jit(model.train_step, donate_argnums=0)
    theirs = case.make_rival(case, False)
    (real,) = case.make_batches(data, case.batch)
    programs = {
        "ours": ours.lower(state, (real,)),
        "theirs": theirs._step.lower(theirs.state, real),
    }
    analyses = {k: p.compile().memory_analysis() for k, p in programs.items()}
    return {
        side: (a.temp_size_in_bytes, a.argument_size_in_bytes)
        for side, a in analyses.items()
    }


def report(arguments, name):
    nothing = resident(arguments, name, "nothing")
    peaks = [resident(arguments, name, side) - nothing for side in SIDES]
    rows = [("resident", *peaks)]
    if keras.backend.backend() == "jax":
        sizes = compiled(case_of(arguments, name))
        for i, what in enumerate(("temporary", "arguments")):
            rows.append((what, *(sizes[side][i] for side in SIDES)))
    for what, ours, theirs in rows:
        print(
            f"{name:<20}{what:<12}{ours / MEGABYTE:>10.2f}"
            f"{theirs / MEGABYTE:>10.2f}{ours / theirs:>8.2f}",
            flush=True,
        )


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--cases", nargs="+", default=["mnist"], choices=cases.names())
    add("--batch", type=int, default=None, help="that of the case if not given")
    add("--rounds", type=int, default=3)
    add("--repeats", type=int, default=3, help="processes of each kind")
    add("--side", choices=(*SIDES, "nothing"), help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    if arguments.side:
        train(arguments)
        return
    machine.print_description()
    print(f"{'case':<20}{'MB':<12}{'ours':>10}{'theirs':>10}{'ratio':>8}")
    for name in cases.chosen(arguments.cases):
        report(arguments, name)


if __name__ == "__main__":
    main()
