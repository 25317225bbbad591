"""Text between two marks on a page, which a script writes."""


def replaced(text, name, content):
    """Returns a text with the content between the marks of a name made anew."""
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"
