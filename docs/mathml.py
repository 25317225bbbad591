"""A hook of MkDocs: formulas become MathML while the site is built.

Browsers render MathML themselves, so the pages fetch and run no script for it.
`pymdownx.arithmatex` finds the formulas, `latex2mathml` translates them.
"""

import html
import re

from latex2mathml.converter import convert

FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">'
    r"\\[(\[](?P<tex>.*?)\\[)\]]</(?P=tag)>",
    re.DOTALL,
)


# Fonts draw the prime small and high: as an exponent, it would be both twice.
PRIME = re.compile(r"<msup>(<mi>[^<]+</mi>)<mi>&#x02032;</mi></msup>")


def to_mathml(match):
    display = "block" if match["tag"] == "div" else "inline"
    formula = convert(html.unescape(match["tex"]).strip(), display=display)
    return PRIME.sub(r'\1<mo lspace="0" rspace="0">&#x02032;</mo>', formula)


def on_page_content(content, **_):
    """Called by MkDocs with the HTML of each page."""
    return FORMULA.sub(to_mathml, content)
