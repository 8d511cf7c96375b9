"""One model card: rendered from an evaluation, and written beside its figures."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from contracts.bundle import Lineage
from kit.files import write_text
from training.corpus.printable import printable
from training.evaluation.results import Evaluation
from training.gate import Decision
from training.metrics import METRICS
from training.report.pictures import Pictures, pictures_of
from training.report.words import FILTERS, slice_metrics

MARKDOWN: Final = "model-card.md"
PAGE: Final = "model-card.html"
FIGURES: Final = "evaluation.json"

_PLAIN: Final = frozenset(" ,;-'()/?%+!")
_POINT: Final = re.compile(r"(?<=\d)\.(?=\d)|(?<=[^\W\d])\.(?=\s|\Z)")


@dataclass(frozen=True)
class Card:
    """What a card tells; lineage and decision are left out until they are known."""

    evaluation: Evaluation
    lineage: Lineage | None = None
    decision: Decision | None = None


def write(card: Card, folder: Path) -> Mapping[str, Path]:
    """Writes the card as Markdown, HTML and JSON with its pictures, and returns the paths by file name."""
    pictures = pictures_of(card.evaluation)
    texts = {
        MARKDOWN: markdown(card, pictures),
        PAGE: page(card, pictures),
        FIGURES: card.evaluation.model_dump_json(indent=2) + "\n",
    }
    texts |= {f"{name}.svg": str(svg) for name, svg in pictures._asdict().items() if svg}
    for name, text in texts.items():
        write_text(folder / name, text)
    return {name: folder / name for name in texts}


def page(card: Card, pictures: Pictures) -> str:
    """Returns the card as one HTML page that needs nothing else; all that comes from data is escaped."""
    return _rendered("page.html.j2", card, pictures, escaped=printable, autoescape=True)


def markdown(card: Card, pictures: Pictures) -> str:
    """Returns the card as Markdown, its pictures as files beside it; all that comes from data is escaped."""
    return _rendered("card.md.j2", card, pictures, escaped=escaped_markdown, autoescape=False)


def escaped_markdown(text: str) -> str:
    """Returns `text` as Markdown that shows it as it is, on one line and inside a table too.

    Punctuation becomes numeric character references: CommonMark (section 2.5) never takes one for structure,
    and every renderer hands it on to HTML as text. The points of numbers and sentences stay, for whoever
    reads the source; those inside words, which some renderers take for addresses, do not.
    """
    shown = printable(text)
    points = {found.start() for found in _POINT.finditer(shown)}
    return "".join(
        char
        if char.isalnum() or char in _PLAIN or not char.isascii() or place in points
        else f"&#{ord(char)};"
        for place, char in enumerate(shown)
    )


def _rendered(template: str, card: Card, pictures: Pictures, *, escaped: Any, autoescape: bool) -> str:
    def shown(value: Any) -> Any:
        # Whatever is not text of ours is text of the data, and hostile.
        return value if isinstance(value, Markup) else escaped(str(value))

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=autoescape,  # noqa: S701 - Markdown is escaped by `finalize`, HTML by both
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    environment.filters |= FILTERS
    return environment.get_template(template).render(
        card=card,
        evaluation=card.evaluation,
        pictures=pictures,
        metrics=METRICS,
        slice_metrics=slice_metrics(card.evaluation),
        is_binary=card.evaluation.threshold is not None,
    )
