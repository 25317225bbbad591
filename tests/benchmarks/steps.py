"""What the package's training step costs, compared with hand-written ones.

    KERAS_BACKEND=jax python tests/benchmarks/steps.py --cases ring
    KERAS_BACKEND=tensorflow python tests/benchmarks/steps.py --jit
    KERAS_BACKEND=torch python tests/benchmarks/steps.py --cases mnist

The steps in by_hand/ are what an expert would write for one framework.
tests/test_by_hand.py shows that they do the same work, with the same results.
Each line of the table is a case, and what of the package was timed:

- `step`: the compiled function that `fit` calls, on batches that are ready (on
  TensorFlow without the iterator that Keras compiles into it);
- `fit`: all of `fit`, with an array in memory and no progress bar, in
  stretches that are five times as long;
- `fused`: the same compiled function with `steps_per_execution=32`, against
  32 hand-written rounds in one `lax.scan` (JAX only).

Against them stands a plain loop over the hand-written step. The two cases
`wgan_gp_keras_io` (TensorFlow only) and `authors_mnist` compare with code
that a user would find and adapt: see by_hand/. The latter is a loop in PyTorch
on every backend.

Both sides take turns in short stretches. `ratio` is the median of ours/theirs
over all pairs, so below 1 the package is faster, with its quartiles; "cpu" is
the time that the process spent on processors, and "wall" what a clock shows.
One thread gives the steadiest numbers: OMP_NUM_THREADS=1,
TF_NUM_INTRAOP_THREADS=1, TF_NUM_INTEROP_THREADS=1 and, on JAX,
XLA_FLAGS=--xla_cpu_multi_thread_eigen=false.
"""

import argparse
import json
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cases
import keras
import machine
import paired
import runs

WHATS = ["step", "fit", "fused"]
TOGETHER = 32
#: How many different batches the data have.
BATCHES = 8
#: How much longer the stretches of `fit` are: what it takes to start and to end
#: counts as well, and would hide the rest in a short stretch.
FIT_LONGER = 5


def contestants(case, arguments):
    """Yields (what, ours, theirs), both functions of a number of rounds."""
    data = case.make_data(BATCHES * case.batch)
    jit_compile = True if arguments.jit else "auto"

    def ours(**options):
        return cases.make_model(case, jit_compile, **options)

    rival = case.make_rival(case, arguments.jit)
    batches = None
    if isinstance(rival, keras.Model):
        theirs = runs.train_function(rival, data, case.batch)
    else:
        batches = case.make_batches(data, case.batch)
        theirs = runs.by_hand(rival, batches)
    if "step" in arguments.what:
        yield "step", runs.train_function(ours(), data, case.batch), theirs
    if "fit" in arguments.what:
        ours_fit = runs.fit(ours(), data, case.batch)
        if isinstance(rival, keras.Model):
            rival = case.make_rival(case, arguments.jit)
            theirs = runs.fit(rival, data, case.batch)
        yield "fit", ours_fit, theirs
    if "fused" in arguments.what and hasattr(rival, "fused"):
        model = ours(steps_per_execution=TOGETHER)
        yield (
            "fused",
            runs.train_function(model, data, case.batch),
            runs.by_hand_fused(rival, batches, TOGETHER),
        )


def measure(case, arguments):
    """Times all of a case, and returns a row for each thing that was timed."""
    rows = []
    for what, ours, theirs in contestants(case, arguments):
        ours(TOGETHER if what == "fused" else 2)  # compiles
        rounds = arguments.rounds or paired.rounds_in(theirs, arguments.seconds)
        if what == "fit":
            rounds *= FIT_LONGER
        if what == "fused":
            rounds += -rounds % TOGETHER
        bar = keras.utils.Progbar(arguments.pairs, unit_name="pair")
        times = paired.time_in_turns(ours, theirs, rounds, arguments.pairs, bar)
        row = {"what": what, "rounds": rounds}
        rows.append({**row, **paired.summary(times)})
    return rows


def report(rows):
    print(f"\n{'':<28}{'cpu: ms a round':>20}{'':<22}{'wall':>14}")
    names = "ours", "theirs", "ratio", "quartiles", "ours", "ratio"
    widths = 10, 10, 8, 14, 10, 8
    header = "".join(f"{n:>{w}}" for n, w in zip(names, widths))
    print(f"{'case':<20}{'what':<8}{header}")
    for row in rows:
        cpu, wall = row["cpu"], row["wall"]
        low, high = cpu["quartiles"]
        print(
            f"{row['case']:<20}{row['what']:<8}{cpu['ours_ms']:>10.3f}"
            f"{cpu['theirs_ms']:>10.3f}{cpu['ratio']:>8.2f}"
            f"{f'{low:.2f}-{high:.2f}':>14}{wall['ours_ms']:>10.3f}"
            f"{wall['ratio']:>8.2f}"
        )


def make_parser(description, what=WHATS):
    """The arguments that `measure` reads; `what` is timed by default."""
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--cases", nargs="+", default=["all"], choices=cases.names())
    add("--what", nargs="+", default=what, choices=WHATS)
    add("--pairs", type=int, default=40, help="pairs of stretches")
    add("--rounds", type=int, default=None, help="rounds in a stretch")
    add("--seconds", type=float, default=0.2, help="or its length")
    add(
        "--jit",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="use XLA on TensorFlow and torch.compile, on both sides",
    )
    add("--json", type=pathlib.Path, default=None, help="file to write")
    return parser


def main():
    arguments = make_parser(__doc__.splitlines()[0]).parse_args()
    rows = []
    for name in cases.chosen(arguments.cases):
        print(name)
        measured = measure(cases.CASES[name], arguments)
        rows += [{"case": name, **row} for row in measured]
    machine.print_description()
    print(f"jit {arguments.jit}")
    report(rows)
    if arguments.json:
        result = {
            "machine": machine.describe(),
            "jit": arguments.jit,
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
