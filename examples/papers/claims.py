"""What the scripts of this folder share: arguments, results and verdicts.

A script holds one claim of a paper. It says what to run, as a list of
*choices*, what to do for one of them, and what to make of the results: a table,
a picture and a verdict. Here is the rest: `--quick`, results that are kept in
`results/<name>.json` after every choice, and a run that goes on where it was
stopped. `docs/generate_reproduction.py` makes the page of these files.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import platform
import subprocess
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

import keras
import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent
#: What can be said in the end.
VERDICTS = (
    "reproduced",
    "reproduced under conditions",
    "not reproduced",
    "not testable here",
)


@dataclasses.dataclass(frozen=True)
class Claim:
    """One claim, and how it is looked at.

    Args:
        name: Name of the script and of its files.
        title: A headline.
        source: The paper, and where in it.
        claim: What it claims, in our words.
        setup: What was run.
        advice: What a user should do because of it.
        choices: Function of `quick` to a list of dictionaries.
        run: Function of a choice to a dictionary of numbers, lists and strings.
        table: Function of all results to the lines of a Markdown table.
        verdict: Function of all results to one of `VERDICTS`, and why.
        draw: Function of all results and a file, which draws them; or `None`.
    """

    name: str
    title: str
    source: str
    claim: str
    setup: str
    advice: str
    choices: Callable[[bool], list[dict[str, Any]]]
    run: Callable[[dict[str, Any]], dict[str, Any]]
    table: Callable[[list[dict[str, Any]]], list[str]]
    verdict: Callable[[list[dict[str, Any]]], tuple[str, str]]
    draw: Callable[[list[dict[str, Any]], pathlib.Path], None] | None = None

    def path(self, quick: bool = False) -> pathlib.Path:
        """Where the results are; those of `--quick` are not for the page."""
        if quick:
            return pathlib.Path("runs/papers") / f"{self.name}.json"
        return FOLDER / "results" / f"{self.name}.json"

    def results(self, path: pathlib.Path) -> list[dict[str, Any]]:
        if not path.exists():
            return []
        return json.loads(path.read_text("utf-8"))["results"]


def main(claim: Claim) -> None:
    """Runs what is left of a claim, prints its table, and draws it."""
    parser = argparse.ArgumentParser(description=claim.title)
    add = parser.add_argument
    add("--quick", action="store_true", help="a minute, to see that it works")
    add("--table", action="store_true", help="print what there is, and end")
    add("--file", type=pathlib.Path, default=None, help="for the results")
    arguments = parser.parse_args()
    path = arguments.file or claim.path(arguments.quick)
    results = claim.results(path)
    choices = [] if arguments.table else claim.choices(arguments.quick)
    left = [
        c for c in choices if not any(c.items() <= r.items() for r in results)
    ]
    for i, choice in enumerate(left):
        keras.utils.clear_session()
        started = time.process_time()
        found = claim.run(choice)
        seconds = round(time.process_time() - started, 1)
        if overwritten := choice.keys() & found.keys():
            raise KeyError(f"`run` returns {overwritten}, which are choices.")
        results.append({**choice, **found, "seconds": seconds})
        write(path, results)
        print(f"{i + 1}/{len(left)} ({seconds:g} s)", choice, flush=True)
    results = claim.results(path)  # As they were written.
    if not results:
        return
    print("\n" + "\n".join(claim.table(results)) + "\n")
    print(*claim.verdict(results), sep=": ")
    if claim.draw is not None:
        claim.draw(results, path.with_suffix(".png"))


def write(path: pathlib.Path, results: list[dict[str, Any]]) -> None:
    """Writes results, with where and with what they were found, so that no kill
    leaves half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    lines = ",\n".join(json.dumps(rounded(result)) for result in results)
    head = json.dumps(made_with())
    new.write_text(
        f'{{"made_with": {head},\n"results": [\n{lines}\n]}}\n', "utf-8"
    )
    os.replace(new, path)


def rounded(value: Any) -> Any:
    """The same with twelve digits of each number."""
    if isinstance(value, dict):
        return {name: rounded(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.12g}")
    return value


def made_with() -> dict[str, str]:
    """The machine, the versions and the commit."""
    backend = keras.backend.backend()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "machine": f"{processor()}, {len(os.sched_getaffinity(0))} cores",
        "python": platform.python_version(),
        "keras": keras.__version__,
        backend: metadata.version(backend),
        "numpy": np.__version__,
        "commit": commit,
    }


def processor() -> str:
    """The name of the processor."""
    path = pathlib.Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or platform.machine()


def values(results: list[dict], name: str, **where: Any) -> list[Any]:
    """A value of each of the results that agree with `where`."""
    return [r[name] for r in results if where.items() <= r.items()]


def has_diverged(error: ValueError) -> bool:
    """Whether `fit` stopped because of a NaN."""
    return "NaN" in str(error)


def save(figure: Any, path: pathlib.Path) -> None:
    """Writes a figure of matplotlib, and lets go of it."""
    import matplotlib.pyplot as plt

    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def row(*cells: Any) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(map(str, cells)) + " |"


def head(*cells: Any) -> list[str]:
    """The first two lines of a Markdown table."""
    return [row(*cells), "|" + "---|" * len(cells)]
