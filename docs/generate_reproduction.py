"""Writes `reproduction.md` from the results in `examples/papers`.

python docs/generate_reproduction.py
"""

import importlib.util
import json
import pathlib
import shutil
import sys

DOCS = pathlib.Path(__file__).resolve().parent
PAPERS = DOCS.parent / "examples" / "papers"
PAGE = DOCS / "reproduction.md"
IMAGES = DOCS / "images" / "papers"
#: The order of the page.
NAMES = [
    "divergence_and_flow",
    "gradient_identity",
    "optimal_discriminators",
    "every_divergence_falls",
    "any_mapping",
    "discriminator_networks",
    "other_generators",
    "vanishing_gradients",
    "shift",
    "identity_or_not",
    "persistency_sweep",
    "naive_persistence",
    "potential_accuracy",
    "best_persistency",
    "usps_to_mnist",
    "cifar10",
    "persistent_monoflow",
    "w2_and_w1",
    "without_discriminator",
]

TOP = """# What the papers claim, and what this package measures

Each claim has a script in `examples/papers`, which anybody can run (`--quick`
takes a minute; `--longer 10` trains for ten times the rounds, on a GPU), and
which stores its results next to it. This page is made from those files. Where a
paper leaves a question open, the verdict is about the answer that one might
expect.
"""


def load(name):
    """The claim that a script holds."""
    if str(PAPERS) not in sys.path:
        sys.path.append(str(PAPERS))
    path = PAPERS / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"papers_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CLAIM


def render():
    """Returns the text of the page."""
    claims = [load(name) for name in NAMES]
    # (One that has not been run whole has no place here yet.)
    claims = [claim for claim in claims if claim.is_complete(claim.path())]
    found = [claim.results(claim.path()) for claim in claims]
    verdicts = [claim.verdict(results) for claim, results in zip(claims, found)]
    lines = [TOP, "| claim | verdict |", "|---|---|"]
    for claim, (verdict, _) in zip(claims, verdicts):
        lines.append(f"| [{claim.title}](#{anchor(claim.title)}) | {verdict} |")
    for claim, results, (verdict, why) in zip(claims, found, verdicts):
        lines += section(claim, results, verdict, why)
    return "\n".join(lines) + "\n"


def section(claim, results, verdict, why):
    path = claim.path()
    lines = [
        "",
        f"## {claim.title}",
        "",
        f"**{claim.source}.** {claim.claim}",
        "",
        f"*What was run.* {claim.setup}",
        "",
        *claim.lines(results),
        "",
    ]
    if path.with_suffix(".png").exists():
        lines += [f"![{claim.title}](images/papers/{claim.name}.png)", ""]
    minutes = sum(r["seconds"] for r in results) / 60
    return [
        *lines,
        f"**{verdict.capitalize()}**: {why}.",
        "",
        f"*What to do.* {claim.advice}",
        "",
        f"*`python examples/papers/{claim.name}.py`: {minutes:.1f} minutes of "
        f"one core. {made_with(path, results)}*",
    ]


def made_with(path, results):
    """Where, with what and from which commits the results are."""
    stamps = json.loads(path.read_text("utf-8"))["made_with"]
    kinds = {}
    for number in sorted({r["made_with"] for r in results}):
        versions = [
            f"{name} {version}"
            for name, version in stamps[number].items()
            if name not in ("machine", "commit")
        ]
        kind = ", ".join([stamps[number]["machine"], *versions])
        kinds.setdefault(kind, []).append(stamps[number]["commit"])
    return " ".join(
        f"{kind}, commit {', '.join(commits)}."
        for kind, commits in kinds.items()
    )


def anchor(title):
    """The name of a headline in a link, as Python-Markdown makes it."""
    kept = "".join(c for c in title.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")


def main():
    PAGE.write_text(render(), "utf-8")
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        picture = PAPERS / "results" / f"{name}.png"
        if picture.exists():
            shutil.copy(picture, IMAGES / picture.name)


if __name__ == "__main__":
    main()
