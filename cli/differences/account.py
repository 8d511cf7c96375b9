"""Whether the table accounts for every sign: nothing undecided, nothing stale, nothing twice."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cli.differences.alike import ALIKE
from cli.differences.table import DIFFERENCES, Difference


class Account(NamedTuple):
    """What is to be done about the table; three empty lists are right."""

    undecided: list[str]
    """Signs of the code that no row and no reason names: somebody has to say what differs, or why nothing."""
    stale: list[str]
    """Signs that are named and are not in the code any more."""
    twice: list[str]
    """Signs that are named more than once: then two places would tell of one behaviour."""


def account(signs: Iterable[str], differences: Sequence[Difference] = DIFFERENCES) -> Account:
    """Returns how the table stands to the signs of the code."""
    named = Counter(sign for difference in differences for sign in difference.signs)
    named.update(sign for alike in ALIKE.values() for sign in alike)
    seen = set(signs)
    return Account(
        undecided=sorted(seen - named.keys()),
        stale=sorted(named.keys() - seen),
        twice=sorted(sign for sign, times in named.items() if times > 1),
    )
