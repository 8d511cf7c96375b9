"""Hostile text made fit to be shown."""


def printable(text: str) -> str:
    """Returns `text` with every control, format and unassigned character written as its escape.

    Nothing that is left can move a cursor, ring a bell, or turn the direction of what is read.
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
