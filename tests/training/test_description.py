"""The description of a corpus: right numbers, and hostile names made harmless on page and terminal."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest

from feature_repo.message import MessageLimits
from feature_repo.settings import FeatureRepoSettings
from tests.training.conftest import Mail
from training.corpus.duplicates import Clusters, clusters_of
from training.corpus.fetch import fetch
from training.corpus.files import FolderSource
from training.corpus.page import near_months, pictures_of, render
from training.corpus.printable import printable
from training.corpus.store import load
from training.corpus.summary import Summary, summarise
from training.corpus.summary_tables import print_summary
from training.settings import TrainingSettings

pytestmark = pytest.mark.xdist_group("clusters")  # one worker finds them

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> $\\frac{1}{2}$ {{ 7 * 7 }} [red]x[/]"
HTML_TAGS = re.compile(
    r"html|head|meta|title|style|body|h[12]|p|div|span|b|i|table|thead|tbody|tr|th|td|figure|figcaption"
)

READING = FeatureRepoSettings()
"""Limits of a message, as they are by default."""
SVG_TAGS = re.compile(r"svg|g|path|defs|use|text|tspan|clippath|rect|metadata|rdf:rdf|(cc|dc):[a-z]+")


class Tags(HTMLParser):
    """Collects the tags, the event handlers and the addresses of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.handlers: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Notes one tag."""
        self.tags.add(tag)
        self.handlers += [name for name, _ in attributes if name.startswith("on")]
        self.addresses += [
            value or "" for name, value in attributes if name in {"src", "href", "xlink:href", "action"}
        ]


@pytest.fixture
def hostile(tmp_path: Path, mail: Mail, settings: TrainingSettings) -> tuple[pa.Table, Clusters, Summary]:
    """A corpus whose senders, subjects and folders are attacks."""
    root = tmp_path / "mail"
    for label in ("spam", "ham"):
        folder = root / f"{label} <b>&lt;[bold]"
        folder.mkdir(parents=True)
        for number in range(3):
            text = mail(
                body=f"the same words for {label} over and over again{'!' * number}",
                sender='x@"><svg/onload=alert(3)>.example',
                subject=f"{HOSTILE}\x1b[2J\u202e",
                day=number + 1,
            )
            (folder / f"{number}.eml").write_bytes(text)
    fetch(tmp_path / "corpus", FolderSource(root, None, settings), settings, READING)
    corpus, manifest = load(tmp_path / "corpus")
    clusters = clusters_of(corpus, tmp_path / "corpus", READING)
    return corpus, clusters, summarise(corpus, manifest, clusters, MessageLimits.of(READING))


def test_hostile_names_stay_text_on_the_page(hostile: tuple[pa.Table, Clusters, Summary]) -> None:
    """No tag, handler or address comes from a message, and nothing is fetched or run."""
    corpus, clusters, summary = hostile
    assert any("<script>" in item.subject for item in summary.duplicates.largest)
    page = render(summary, pictures_of(corpus, clusters, summary))
    seen = Tags(page)
    assert [tag for tag in seen.tags if not HTML_TAGS.fullmatch(tag) and not SVG_TAGS.fullmatch(tag)] == []
    assert seen.handlers == []
    assert all(address.startswith("#") for address in seen.addresses)
    assert "&lt;script&gt;" in page
    assert "{{ 7 * 7 }}" in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "default-src 'none'" in page


def test_hostile_names_stay_text_on_the_terminal(
    hostile: tuple[pa.Table, Clusters, Summary], capsys: pytest.CaptureFixture[str]
) -> None:
    """No escape sequence reaches the terminal, and markup is shown as it is written."""
    print_summary(hostile[2])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "[bold]" in shown.replace("\n", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("\u202eevil", "\\u202eevil"),
        ("line\nbreak", "line\\nbreak"),
        ("zürich 中文 ✓", "zürich 中文 ✓"),
    ],
)
def test_only_what_can_be_printed_is_left(text: str, shown: str) -> None:
    """Letters of every script stay; what moves a cursor or turns the direction is escaped."""
    assert printable(text) == shown


def test_numbers_of_the_reference_corpus_are_right(
    corpus: pa.Table, corpus_path: Path, corpus_clusters: Clusters
) -> None:
    """Counts are consistent with each other and with the corpus."""
    summary = summarise(corpus, load(corpus_path)[1], corpus_clusters, MessageLimits.of(READING))
    assert summary.labels == {"ham": 4150, "spam": 1896}
    assert sum(count for labels in summary.groups.values() for count in labels.values()) == 6046
    assert sum(count for labels in summary.dates.months.values() for count in labels.values()) == 5978
    assert summary.dates.dated == 6046 - corpus["date"].null_count
    assert summary.duplicates.clusters + summary.duplicates.copies == 6046
    assert (
        summary.bytes["ham"]["minimum"] <= summary.bytes["ham"]["median"] <= summary.bytes["ham"]["maximum"]
    )
    assert summary.bytes["ham"]["maximum"] == max(
        len(raw)
        for raw, label in zip(corpus["raw"].to_pylist(), corpus["label"].to_pylist(), strict=True)
        if label == "ham"
    )
    sizes = [item.messages for item in summary.top_domains]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 15


def test_page_of_the_reference_corpus_holds_three_pictures(
    corpus: pa.Table, corpus_path: Path, corpus_clusters: Clusters
) -> None:
    """Self-contained, under 200 kB, in the colours of the page, and the same for the same corpus."""
    summary = summarise(corpus, load(corpus_path)[1], corpus_clusters, MessageLimits.of(READING))
    page = render(summary, pictures_of(corpus, corpus_clusters, summary))
    assert page.count("<svg") == 3
    assert "currentColor" in page
    assert "#010203" not in page
    assert summary.fingerprint in page
    assert len(page) < 200_000
    assert "mathdefault" not in page
    assert render(summary, pictures_of(corpus, corpus_clusters, summary)) == page


def test_corpus_of_one_class_without_dates_can_be_described(
    tmp_path: Path, settings: TrainingSettings
) -> None:
    """What is absent is said, and nothing fails."""
    (tmp_path / "ham").mkdir()
    (tmp_path / "ham" / "1").write_bytes(b"Subject: x\n\n")
    fetch(tmp_path / "corpus", FolderSource(tmp_path, None, settings), settings, READING)
    corpus, manifest = load(tmp_path / "corpus")
    clusters = clusters_of(corpus, tmp_path, READING)
    summary = summarise(corpus, manifest, clusters, MessageLimits.of(READING))
    page = render(summary, pictures_of(corpus, clusters, summary))
    for sentence in ("No message has a date", "No message names a sender", "No message is a copy"):
        assert re.search(sentence, page)
    print_summary(summary)


def test_months_far_from_the_others_are_not_drawn_and_gaps_are() -> None:
    """A date in 2028 would squeeze 2002 into one bar; an empty month stays visible as a gap."""
    counts = {"1993-07": {"spam": 1}, "2001-12": {"ham": 300}, "2002-02": {"ham": 300}, "2028-10": {"ham": 1}}
    assert near_months(counts) == {"2001-12": {"ham": 300}, "2002-01": {}, "2002-02": {"ham": 300}}
    assert near_months({}) == {}
    assert near_months({"2002-02": {"ham": 1}}) == {"2002-02": {"ham": 1}}


def test_subjects_of_copies_are_read_within_the_limits(tmp_path: Path, settings: TrainingSettings) -> None:
    """A subject that stands beyond the first bytes of a message is not shown."""
    (tmp_path / "ham").mkdir()
    for name in "ab":
        text = f"X-Long: {'x' * 1100}{name}\nSubject: seen\n\nthe same words in both"
        (tmp_path / "ham" / name).write_text(text)
    fetch(tmp_path / "corpus", FolderSource(tmp_path, None, settings), settings, READING)
    corpus, manifest = load(tmp_path / "corpus")
    clusters = clusters_of(corpus, tmp_path, READING)
    for most, subject in ((4096, "seen"), (1024, "")):
        summary = summarise(corpus, manifest, clusters, MessageLimits(max_bytes=most))
        assert [copies.subject for copies in summary.duplicates.largest] == [subject]
