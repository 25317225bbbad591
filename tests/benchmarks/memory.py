"""How much memory a training step takes, compared with a hand-written one.

    KERAS_BACKEND=jax python tests/benchmarks/memory.py --cases mnist
    KERAS_BACKEND=torch python tests/benchmarks/memory.py --cases resnet

Trains a few rounds of a case of steps.py in fresh processes, one for each
side, and prints the largest resident set that the operating system saw, less
that of a process which made the networks and the data and trained nothing.
This counts compilers and caches too. On JAX it also prints what XLA says of the
two compiled programs: the memory of temporary values, and that of arguments
(weights, optimizers, batch), which are donated.
"""

import argparse
import os
import resource
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cases
import keras
import machine
import runs

SIDES = ("ours", "theirs")
MEGABYTE = 1024 * 1024


def train(name, side, rounds):
    """Trains one side, and prints the largest resident set in bytes."""
    case = cases.CASES[name]
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


def resident(name, side, rounds):
    command = [sys.executable, __file__, "--cases", name]
    command += ["--side", side, "--rounds", str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def compiled(case):
    """What XLA says of both steps: {side: (temporary, arguments)} in bytes."""
    import jax

    model = cases.make_model(case)
    data = case.make_data(case.batch)
    state = model._get_jax_state(
        **{f"{group}_variables": True for group in runs.STATE}
    )
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


def report(name, rounds):
    nothing = resident(name, "nothing", rounds)
    peaks = [resident(name, side, rounds) - nothing for side in SIDES]
    rows = [("resident", *peaks)]
    if keras.backend.backend() == "jax":
        sizes = compiled(cases.CASES[name])
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
    add("--cases", nargs="+", default=["monoflow_512"], choices=cases.names())
    add("--rounds", type=int, default=3)
    add("--side", choices=(*SIDES, "nothing"), help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    if arguments.side:
        train(arguments.cases[0], arguments.side, arguments.rounds)
        return
    machine.print_description()
    print(f"{'case':<20}{'MB':<12}{'ours':>10}{'theirs':>10}{'ratio':>8}")
    for name in cases.chosen(arguments.cases):
        report(name, arguments.rounds)


if __name__ == "__main__":
    main()
