"""Where a step on PyTorch spends its time, beside the hand-written step.

    KERAS_BACKEND=torch python tests/benchmarks/profile_torch.py --case mnist

Prints, for the kernels that take most of the time on either side, milliseconds
a round and calls a round.
"""

import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import cases
import machine
import runs
import torch
from torch.profiler import ProfilerActivity, profile


def kernels(run, rounds):
    """Returns {kernel: (milliseconds a round, calls a round)}."""
    run(2)
    with profile(activities=[ProfilerActivity.CPU]) as found:
        run(rounds)
    return {
        event.key: (
            event.self_cpu_time_total / 1000 / rounds,
            event.count / rounds,
        )
        for event in found.key_averages()
    }


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--case", default="mnist", choices=cases.names())
    add("--rounds", type=int, default=5)
    add("--rows", type=int, default=12)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    torch.set_num_threads(1)
    machine.print_description()
    case = cases.CASES[arguments.case]
    data = case.make_data(2 * case.batch)
    model = cases.make_model(case, "auto")
    rival = case.make_rival(case, False)
    batches = case.make_batches(data, case.batch)
    ours = kernels(
        runs.train_function(model, data, case.batch), arguments.rounds
    )
    theirs = kernels(runs.by_hand(rival, batches), arguments.rounds)
    nothing = 0.0, 0.0
    names = sorted(
        {*ours, *theirs},
        key=lambda k: -max(ours.get(k, nothing)[0], theirs.get(k, nothing)[0]),
    )
    print(f"\n{'':<34}{'ours':>10}{'calls':>8}{'by hand':>10}{'calls':>8}")
    for name in names[: arguments.rows]:
        (a, calls_a), (b, calls_b) = (
            d.get(name, nothing) for d in (ours, theirs)
        )
        print(f"{name:<34}{a:>10.2f}{calls_a:>8.0f}{b:>10.2f}{calls_b:>8.0f}")
    totals = [sum(ms for ms, _ in d.values()) for d in (ours, theirs)]
    print(f"{'all':<34}{totals[0]:>10.2f}{totals[1]:>18.2f}")


if __name__ == "__main__":
    main()
