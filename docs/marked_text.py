"""Text between two marks on a page, which a script writes."""

import inspect
import re


def replaced(text, name, content):
    """Returns a text with the content between the marks of a name made anew."""
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def first_line(thing):
    """The first paragraph of a docstring on one line, without the full stop."""
    paragraph = inspect.getdoc(thing).split("\n\n")[0]
    return " ".join(paragraph.split()).removesuffix(".")


def table(header, rows):
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    # A bar would end the cell.
    cells = [[re.sub(r"\|+", "‖", cell) for cell in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)
