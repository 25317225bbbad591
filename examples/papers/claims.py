"""What the scripts of this folder share: arguments, results and verdicts.

A script holds one claim of a paper. It says what to run, as a list of
*choices*, what to do for one of them, and what to make of the results: a table,
a picture and a verdict. Here is the rest: `--quick`, results that are kept in
`results/<name>.json` after every choice, with where they were found, and a run
that goes on where it was stopped. `docs/generate_reproduction.py` makes the
page of these files, once all of a claim's choices are in.
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

    def results(
        self, path: pathlib.Path, quick: bool = False
    ) -> list[dict[str, Any]]:
        """What was found for the choices of today, in their order."""
        found = read(path)["results"]
        return [r for c in self.choices(quick) for r in found if has(r, c)]

    def lines(self, results: list[dict[str, Any]]) -> list[str]:
        """The table, and a line on runs that diverged, which it is without."""
        of = [r for r in results if r.get("diverged")]
        note = ["", f"{len(of)} of {len(results)} runs diverged."]
        return [*self.table(results), *(note if of else [])]

    def longer(self, times: int) -> "Claim":
        """The same with so many times the rounds.

        Raises:
            ValueError: If a choice has no rounds.
        """
        if not all("rounds" in choice for choice in self.choices(False)):
            raise ValueError(f"{self.name}.py trains for no rounds.")

        def choices(quick: bool) -> list[dict[str, Any]]:
            return [
                {**choice, "rounds": times * choice["rounds"]}
                for choice in self.choices(quick)
            ]

        name = f"{self.name}_x{times}"
        return dataclasses.replace(self, name=name, choices=choices)

    def is_complete(self, path: pathlib.Path, quick: bool = False) -> bool:
        return not self.left(path, quick)

    def left(self, path: pathlib.Path, quick: bool) -> list[dict[str, Any]]:
        """The choices that have no result yet."""
        found = read(path)["results"]
        return [
            c for c in self.choices(quick) if not any(has(r, c) for r in found)
        ]


def main(claim: Claim) -> None:
    """Runs what is left of a claim, prints its table, and draws it."""
    parser = argparse.ArgumentParser(description=claim.title)
    add = parser.add_argument
    add("--quick", action="store_true", help="a minute, to see that it works")
    add("--table", action="store_true", help="print what there is, and end")
    add("--longer", type=int, metavar="N", help="N times the rounds: for a GPU")
    add("--file", type=pathlib.Path, default=None, help="for the results")
    arguments = parser.parse_args()
    aside = arguments.quick
    if arguments.longer is not None:
        # (The page shows what anybody can run.)
        claim, aside = claim.longer(arguments.longer), True
    path = arguments.file or claim.path(aside)
    left = [] if arguments.table else claim.left(path, arguments.quick)
    stamp = made_with()  # Before the work, which no fault of it may cost.
    for i, choice in enumerate(left):
        keras.utils.clear_session()
        started = time.process_time()
        found = run_one(claim, choice)
        seconds = round(time.process_time() - started, 1)
        if overwritten := choice.keys() & found.keys():
            raise KeyError(f"`run` returns {overwritten}, which are choices.")
        append(path, {**choice, **found, "seconds": seconds}, stamp)
        print(f"{i + 1}/{len(left)} ({seconds:g} s)", choice, flush=True)
    results = claim.results(path, arguments.quick)
    if not results:
        return
    print("\n" + "\n".join(claim.lines(results)) + "\n")
    if not claim.is_complete(path, arguments.quick):
        print("Not all is done yet, so there is no verdict.")
        return
    print(*claim.verdict(results), sep=": ")
    if claim.draw is not None:
        claim.draw(results, path.with_suffix(".png"))


def run_one(claim: Claim, choice: dict[str, Any]) -> dict[str, Any]:
    """What a run finds, or that it diverged."""
    try:
        return claim.run(choice)
    except ValueError as error:  # The package stops at a NaN.
        if not has_diverged(error):
            raise
        return {"diverged": True}


def has(result: dict[str, Any], choice: dict[str, Any]) -> bool:
    """Whether it is the result of this choice."""
    return choice.items() <= result.items()


def read(path: pathlib.Path) -> dict[str, Any]:
    """A file of results: `results`, each with the number of the stamp in
    `made_with` that says where and with what it was found."""
    if not path.exists():
        return {"made_with": [], "results": []}
    return json.loads(path.read_text("utf-8"))


def append(
    path: pathlib.Path, result: dict[str, Any], stamp: dict[str, str]
) -> None:
    """Adds a result, so that no kill leaves half a file."""
    content = read(path)  # Another process may have added some.
    stamps, results = content["made_with"], content["results"]
    if stamp not in stamps:
        stamps.append(stamp)
    results.append(rounded({**result, "made_with": stamps.index(stamp)}))
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}")
    heads, lines = (",\n".join(map(json.dumps, of)) for of in (stamps, results))
    new.write_text(
        f'{{"made_with": [\n{heads}\n],\n"results": [\n{lines}\n]}}\n', "utf-8"
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
    try:
        version = metadata.version(backend)
    except metadata.PackageNotFoundError:  # As with tensorflow-cpu.
        version = "of unknown version"
    return {
        "machine": f"{processor()}, {cores()} cores",
        "python": platform.python_version(),
        "keras": keras.__version__,
        backend: version,
        "numpy": np.__version__,
        "commit": commit(),
    }


def commit() -> str:
    """The short hash, with a "-dirty" if files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(
            command, cwd=FOLDER, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def cores() -> int:
    """How many the process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """The name of the processor."""
    path = pathlib.Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or platform.machine()


def values(results: list[dict], name: str, **where: Any) -> list[Any]:
    """A value of each of the results that agree with `where`, and have one."""
    return [r[name] for r in results if has(r, where) and name in r]


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
