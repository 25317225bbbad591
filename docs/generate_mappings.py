"""Writes the tables and the plot of docs/mappings.md from the code.

usage: python docs/generate_mappings.py

Names and aliases come from the registry. Everything between
`<!-- begin: NAME -->` and `<!-- end: NAME -->` is replaced; the text around it
is written by hand. The numbers do not depend on the Keras backend. The plot
needs matplotlib.
"""

import inspect
import pathlib
import re

import numpy as np
from keras import ops
from marked_text import first_line, replaced, table

from keras_monoflow import losses, mappings
from keras_monoflow.registry import MAPPINGS, OBJECTIVES, PENALTIES

FOLDER = pathlib.Path(__file__).resolve().parent
PAGE = FOLDER / "mappings.md"
PLOT = FOLDER / "images" / "mappings.png"

LOG_RATIOS = [-10.0, -1.0, 0.0, 1.0, 10.0]
OUTPUTS = [-1.0, 0.25, 0.5, 0.75, 2.0]
# From which value of h'(+-10) on the page says "vanishes" and "explodes".
SMALL, LARGE = 0.01, 100.0


# Numbers and words -----------------------------------------------------------


def evaluate(fn, points):
    """The values of a function of a tensor as a list of Python floats."""
    values = fn(ops.convert_to_tensor(np.array(points, "float32")))
    return [float(v) for v in ops.convert_to_numpy(values)]


def number(value):
    """Three significant digits: `0.0000454` as `4.54e-5`, no `-0`."""
    text = f"{value:.3g}"
    if "e" in text:
        digits, exponent = text.split("e")
        return f"{digits}e{int(exponent)}"
    return "0" if text == "-0" else text


def source(thing):
    """Where a formula is from, which ends its docstring, with a link."""
    _, mark, text = inspect.getdoc(thing).partition("Source: ")
    if not mark:
        raise ValueError(
            f"The docstring of {thing.__name__} does not end with `Source: `, "
            "from which the table takes where the formula is from. Add it."
        )
    text = " ".join(text.split())
    link = r"[arXiv \1](https://arxiv.org/abs/\1)"
    return re.sub(r"arXiv (\d+\.\d+)", link, text.removesuffix("."))


def aliases(name, registry):
    """The other names of `name`, as code."""
    return ", ".join(f"`{a}`" for a in sorted(registry.names_for(name)))


def tails(mapping):
    """Where the slope of a mapping vanishes and where it explodes."""
    left, right = evaluate(mapping.derivative, [-10.0, 10.0])
    ends = [(r"$u \ll 0$", left), (r"$u \gg 0$", right)]
    vanishes = " and ".join(f"for {end}" for end, s in ends if s < SMALL)
    explodes = " and ".join(f"for {end}" for end, s in ends if s > LARGE)
    return vanishes or "no", explodes or "no"


def link(loss):
    """The formula of `log_ratio`: from the docstring, `d` where it is `d`."""
    text = " ".join(inspect.getdoc(type(loss)).split())
    formula = re.search(r"`log_ratio\(d\) = ([^`]+)`", text)
    if formula is not None:
        return formula[1]
    if evaluate(loss.log_ratio, OUTPUTS) != OUTPUTS:
        raise ValueError(f"{type(loss)} does not say what its log_ratio is.")
    return "d"


def describe(loss):
    """The constructor call of an objective."""
    arguments = getattr(loss, "mapping", "")
    if getattr(loss, "pairs", "all") != "all":
        arguments = f"{loss.pairs!r}"
    return f"{type(loss).__name__}({arguments})"


def known_gans():
    """The names that `named_gan` knows, from its error message."""
    try:
        losses.named_gan("?")
    except ValueError as error:
        names = str(error).split("Known names: ")[1].rstrip(".")
        return names.split(", ")


# Tables ----------------------------------------------------------------------


def mapping_table():
    rows = []
    for name in MAPPINGS.makers:
        mapping = mappings.get(name)
        vanishes, explodes = tails(mapping)
        rows.append(
            [
                f"`{name}`",
                aliases(name, MAPPINGS),
                f"`{mapping!r}`",
                first_line(type(mapping)),
                "no" if mapping.dual is None else "yes",
                vanishes,
                explodes,
            ]
        )
    header = ["name", "aliases", "class", "formula and flow", "dual"]
    return table([*header, "$h'$ vanishes", "$h'$ explodes"], rows)


def value_table(symbol, method):
    rows = []
    for name in MAPPINGS.makers:
        fn = getattr(mappings.get(name), method)
        rows.append([f"`{name}`", *map(number, evaluate(fn, LOG_RATIOS))])
    header = [f"${symbol}({number(u)})$" for u in LOG_RATIOS]
    return table(["name", *header], rows)


def objective_table():
    rows = []
    for name in OBJECTIVES.makers:
        loss = losses.get(name)
        values = map(number, evaluate(loss.log_ratio, OUTPUTS))
        if loss.uses_whole_batch:
            # The constant depends on the batch.
            values = ["-"] * len(OUTPUTS)
        other_names = aliases(name, OBJECTIVES)
        rows.append(_objective_row(name, other_names, loss, values))
    # The matched objective of any mapping that has a dual.
    loss = losses.get("matched", "vanilla")
    values = map(number, evaluate(loss.log_ratio, OUTPUTS))
    rows.append(_objective_row("matched", "", loss, values))
    header = ["name", "aliases", "class", "minimizes", "`log_ratio(d)`"]
    return table([*header, *(f"at {number(d)}" for d in OUTPUTS)], rows)


def _objective_row(name, other_names, loss, values):
    return [
        f"`{name}`",
        other_names,
        f"`{type(loss).__name__}`",
        first_line(type(loss)),
        f"`{link(loss)}`",
        *values,
    ]


def penalty_table():
    rows = []
    for name, cls in PENALTIES.makers.items():
        code = f"`{cls.__name__}`"
        other_names = aliases(name, PENALTIES)
        rows.append(
            [f"`{name}`", other_names, code, first_line(cls), source(cls)]
        )
    return table(["name", "aliases", "class", "adds", "source"], rows)


def gan_table():
    """Table 1 of the paper: the rows of the docstring, and what they give."""
    doc = inspect.getdoc(losses.named_gan)
    formulas = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", doc, re.MULTILINE))
    if set(formulas) != set(known_gans()):
        raise ValueError("The docstring of named_gan lists other names.")
    rows = []
    for name, formula in formulas.items():
        mapping, loss = losses.named_gan(name)
        rows.append(
            [f"`{name}`", formula, f"`{mapping!r}`", f"`{describe(loss)}`"]
        )
    header = ["name", "$h$", "`mapping`", "`discriminator_loss`"]
    return table(header, rows)


TABLES = {
    "mappings": mapping_table,
    "h": lambda: value_table("h", "__call__"),
    "slopes": lambda: value_table("h'", "derivative"),
    "objectives": objective_table,
    "penalties": penalty_table,
    "gans": gan_table,
}


def render(text):
    """The text of the page with its tables made anew."""
    for name, make in TABLES.items():
        text = replaced(text, name, make())
    return text


# Plot ------------------------------------------------------------------------

# Okabe and Ito's colors, which people with color blindness can tell apart.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00"]
LINES = ["-", "--", ":"]


def style(i):
    """The color and the line of the curve number `i`."""
    turn, color = divmod(i, len(COLORS))
    return COLORS[color], LINES[turn % len(LINES)]


def draw():
    """Draws `h'` of all mappings: bounded ones on the left, others right."""
    from matplotlib.figure import Figure

    explodes = {n: tails(mappings.get(n))[1] != "no" for n in MAPPINGS.makers}
    figure = Figure(figsize=(10, 4.2), dpi=150)
    u = np.linspace(-5.0, 5.0, 401)
    drawn = []
    for axis, wanted in zip(figure.subplots(1, 2), (False, True)):
        names = [n for n in explodes if explodes[n] == wanted]
        curves = [evaluate(mappings.get(n).derivative, u) for n in names]
        drawn.append((axis, u, curves, names))
        _draw_curves(axis, u, curves)
        if wanted:
            # Two powers of ten below and above the slopes at 0.
            middle = [y[len(u) // 2] for y in curves]
            limits = (min(middle) / 100, 100 * max(middle))
            axis.set(yscale="log", ylim=limits, title="Exploding slopes")
        else:
            top = np.max(curves)
            axis.set(ylim=(-0.03 * top, 1.1 * top), title="Bounded slopes")
    drawn[0][0].set_ylabel("h'(u), speed along grad u")
    figure.tight_layout()
    for arguments in drawn:
        _label(*arguments)
    return figure


def plot(path):
    path.parent.mkdir(exist_ok=True)
    draw().savefig(path, metadata={"Software": None})


def _draw_curves(axis, u, curves):
    axis.set(xlim=(-5, 5), xlabel="u = log(p_data / p_gen)")
    for i, y in enumerate(curves):
        color, line = style(i)
        axis.plot(u, y, line, color=color, linewidth=2)
    axis.axvline(0.0, color="0.85", linewidth=1, zorder=0)
    axis.spines[["top", "right"]].set_visible(False)
    for x, words, side in ((0, "generated", "left"), (1, "data", "right")):
        axis.text(
            x, -0.13, words, color="0.4", ha=side, transform=axis.transAxes
        )


def _label(axis, u, curves, names):
    """Writes each name on its curve, or beside it where it is crowded."""
    pixels = [axis.transData.transform(np.c_[u, y]) for y in curves]
    for i, name in enumerate(names):
        others = np.concatenate([p for j, p in enumerate(pixels) if j != i])
        room, place = _roomiest(axis, pixels[i], others, name)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        if room < 1.0:
            name, box = name.replace("_", "_\n"), None
            beside = np.concatenate([others, pixels[i]])
            _, place = max(
                _roomiest(axis, pixels[i] + [0.0, offset], beside, name)
                for offset in (45.0, -45.0)
            )
        x, y = axis.transData.inverted().transform(place)
        look = {"color": style(i)[0], "fontweight": "bold", "bbox": box}
        axis.text(x, y, name, ha="center", va="center", **look)


def _roomiest(axis, places, obstacles, label):
    """How free the best place for a label is (1 suffices), and the place."""
    lines = label.split("\n")
    # Half of the label's width and height in pixels.
    half = [5.8 * max(map(len, lines)) + 4.0, 13.0 * len(lines) + 3.0]
    gaps = np.abs(places[:, None] - obstacles) / half
    room = gaps.max(axis=-1).min(axis=1)
    ends = np.minimum(places - axis.bbox.min, axis.bbox.max - places)
    room = np.where((ends > np.add(half, 20.0)).all(axis=1), room, -1.0)
    return room.max(), tuple(places[room.argmax()])


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
    plot(PLOT)
