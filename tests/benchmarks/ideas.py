"""What each idea that makes a step faster gains: the step with and without it.

    KERAS_BACKEND=tensorflow python tests/benchmarks/ideas.py
    KERAS_BACKEND=jax python tests/benchmarks/ideas.py --pairs 10

Both run in turns, as in steps.py. `ratio` is the processor time with the idea
over that without it. Where an idea saves products, `predicted` is the ratio of
their numbers (see flops.py).
"""

import argparse
import contextlib
import dataclasses
import os
from collections.abc import Callable
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cases
import flops
import keras
import machine
import paired
import runs

from keras_monoflow.backend import framework

TOGETHER = 32
BATCHES = 8


@dataclasses.dataclass(frozen=True)
class Idea:
    """How to switch it off, and the options of `compile` with and without."""

    name: str
    cases: tuple
    off: Callable = contextlib.nullcontext
    options: dict = dataclasses.field(default_factory=dict)
    options_off: dict = dataclasses.field(default_factory=dict)
    saves_products: bool = False


def _no_context(name):
    def off():
        context = mock.Mock(side_effect=lambda *_: contextlib.nullcontext())
        return mock.patch.object(framework.engine, name, context)

    return off


def _ideas_on_tensorflow():
    yield Idea(
        "no products with zeros",
        ("w1fe_k3", "wgan_gp_keras_io"),
        _no_context("skip_zero_second_derivatives"),
        saves_products=True,
    )
    yield Idea(
        "Adam with fewer operations",
        ("monoflow_64", "w1fe_k3_64", "w1fe_k3"),
        _no_context("faster_update"),
    )


def _ideas_on_jax():
    fused = {"steps_per_execution": TOGETHER}
    yield Idea(
        "fused steps",
        ("monoflow_64", "w1fe_k3_64", "monoflow_512"),
        options=fused,
    )
    yield Idea(
        "few steps unrolled",
        ("w1fe_k3_64", "w1fe_k3"),
        lambda: mock.patch.object(framework.engine, "SHORT_LOOP", 0),
        options=fused,
        options_off=fused,
    )


def _ideas_on_torch():
    yield Idea(
        "no products with zeros",
        ("w1fe_k3", "resnet_loops"),
        _no_context("skip_zero_second_derivatives"),
        saves_products=True,
    )
    yield Idea(
        "recorded steps",
        ("monoflow_64", "monoflow_512", "w1fe_k3", "mnist"),
        options_off={"run_eagerly": True},
    )


def ideas():
    return {
        "tensorflow": _ideas_on_tensorflow,
        "jax": _ideas_on_jax,
        "torch": _ideas_on_torch,
    }[keras.backend.backend()]()


def measure(idea, case, arguments):
    """Returns the predicted ratio or `None`, and a summary of times."""
    data = case.make_data(BATCHES * case.batch)

    def run(options):
        model = cases.make_model(case, **options)
        function = runs.train_function(model, data, case.batch)
        function(TOGETHER if model.steps_per_execution > 1 else 2)  # compiles
        return function

    ours = run(idea.options)
    counts = [flops.counted(case, "ours")] if idea.saves_products else []
    with idea.off():
        without = run(idea.options_off)
        counts += [flops.counted(case, "ours")] if counts else []
    rounds = paired.rounds_in(without, arguments.seconds)
    if idea.options:
        rounds += -rounds % TOGETHER
    bar = keras.utils.Progbar(arguments.pairs, unit_name="pair")
    times = paired.time_in_turns(ours, without, rounds, arguments.pairs, bar)
    predicted = counts[0] / counts[1] if counts else None
    return predicted, paired.summary(times)["cpu"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--pairs", type=int, default=20, help="pairs of stretches")
    add("--seconds", type=float, default=0.2, help="length of a stretch")
    arguments = parser.parse_args()
    rows = []
    for idea in ideas():
        for name in idea.cases:
            print(f"{idea.name}, {name}")
            rows.append(
                (idea.name, name, *measure(idea, cases.CASES[name], arguments))
            )
    machine.print_description()
    names = "with", "without", "ratio", "quartiles", "predicted"
    header = "".join(f"{name:>12}" for name in names)
    print(f"\n{'idea':<28}{'case':<18}{header}")
    for idea, case, predicted, cpu in rows:
        low, high = cpu["quartiles"]
        print(
            f"{idea:<28}{case:<18}{cpu['ours_ms']:>12.3f}"
            f"{cpu['theirs_ms']:>12.3f}{cpu['ratio']:>12.2f}"
            f"{f'{low:.2f}-{high:.2f}':>12}"
            f"{'' if predicted is None else f'{predicted:.2f}':>12}"
        )


if __name__ == "__main__":
    main()
