"""Writes `pretrained.md`, the cards of the models that come with the package.

python docs/generate_pretrained.py             # the page
python docs/generate_pretrained.py --pictures  # and what the models make
"""

import pathlib
import sys

import keras

import keras_monoflow as kmf

DOCS = pathlib.Path(__file__).resolve().parent
PAGE = DOCS / "pretrained.md"

TOP = """# Trained models

Three small models come with the package, to look at and to try things on. They
need no download and work on every backend:

```python
import keras
import keras_monoflow as kmf

model = kmf.models.load_pretrained("digits_gan")
digits = model.sample(128, seed=0)  # (128, 8, 8, 1), from -1 to 1
keras.utils.save_img("digits.png", kmf.plots.image_grid(digits, columns=16))
```

They are compiled, with the states of their optimizers, so that `fit` continues
the training. `examples/train_pretrained.py` trains them and writes their cards;
`kmf.models.pretrained_cards()` returns the cards. The SHA-256 checksum of a
file is checked when it is loaded.
"""


def render():
    """Returns the text of the page."""
    lines = [TOP.rstrip()]
    for name, card in kmf.models.pretrained_cards().items():
        made = card["made_with"]
        versions = ", ".join(
            f"{what} {version}"
            for what, version in made.items()
            if what not in ("machine", "commit")
        )
        lines += [
            "",
            f"## {name}",
            "",
            f"![Samples of {name}](images/pretrained/{name}.png)",
            "",
            "| | |",
            "|---|---|",
            f"| model | `{card['model']}` |",
            f"| data | {card['data']} |",
            f"| settings | {card['settings']} |",
            f"| limits | {card['limits']} |",
        ]
        lines += [
            f"| {what} | {value:.3f} |"
            for what, value in card["metrics"].items()
        ]
        lines += [
            f"| trained with | {versions}; {made['machine']}; commit "
            f"{made['commit']} |",
        ]
    return "\n".join(lines) + "\n"


def draw():
    folder = DOCS / "images" / "pretrained"
    folder.mkdir(parents=True, exist_ok=True)
    for name in kmf.models.pretrained_cards():
        model = kmf.models.load_pretrained(name)
        samples = model.sample(1000, seed=0)
        path = folder / f"{name}.png"
        if samples.ndim == 2:
            data = kmf.datasets.gaussian_ring(1000, seed=1)
            figure = kmf.plots.plot_scatter(data, samples)
            figure.savefig(path, dpi=100)
        else:
            grid = kmf.plots.image_grid(samples[:96], columns=16, scale=5)
            keras.utils.save_img(path, grid)


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
    if "--pictures" in sys.argv:
        draw()
