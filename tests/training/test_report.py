"""The model card: complete, the same in both forms, and proof against hostile text."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt

from contracts.bundle import Lineage
from tests.training.regression_workload import SETTINGS, dataset, workload
from training.evaluation.evaluation import evaluate
from training.evaluation.results import Evaluation
from training.gate import Decision, Reason
from training.report.card import Card, escaped_markdown, markdown, page, write
from training.report.pictures import Pictures, pictures_of

pytestmark = pytest.mark.xdist_group("report")  # one worker evaluates for all

ALLOWED_TAGS = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "b", "i", "small", "span", "div",
    "figure", "figcaption", "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
SECTIONS = [
    "Figures", "Seeds", "Answers on the test rows", "Slices", "Robustness", "The past judged on the future",
    "What the model looks at", "Mistakes", "Where it comes from",
]  # fmt: skip
LINEAGE = Lineage(
    data_fingerprint="sha256:abc",
    split_seed=1,
    schema_digest="digest",
    git_commit="c0ffee",
    parameters={},
    libraries={"numpy": "2.4.6"},
    run_ids={"mlflow": "run<7>"},
)
DECISION = Decision(
    accepted=False,
    reasons=(
        Reason(rule="floor", passed=True, sentence="High enough."),
        Reason(rule="certificate", passed=False, sentence="Row <b>7</b> | differs."),
    ),
)


@pytest.fixture(scope="module")
def two() -> Evaluation:
    """With two classes, hostile titles, features and a hostile class name."""
    return evaluate(workload(), dataset(), {"C": 1.0}, run_seed=1, settings=SETTINGS).evaluation


@pytest.fixture(scope="module")
def three() -> Evaluation:
    """With three classes, and nothing optional."""
    data = dataset(3, ablations={}, perturbations={}, slices={}, titles=(), split_by_time=None)
    work = workload(("red", "green", "blue"))
    return evaluate(work, data, {"C": 1.0}, run_seed=1, settings=SETTINGS).evaluation


@pytest.fixture(scope="module")
def pictures_of_two(two: Evaluation) -> Pictures:
    """Drawn once: to draw them takes half a second."""
    return pictures_of(two)


@pytest.fixture(scope="module")
def pictures_of_three(three: Evaluation) -> Pictures:
    """Drawn once as well."""
    return pictures_of(three)


class _Tags(HTMLParser):
    """Collects tags and headings; what is inside a picture is left to the XML parser."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.headings: list[str] = []
        self.inside: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if "svg" not in self.inside:
            self.tags.add(tag)
        if tag != "meta":
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.inside:
            while self.inside.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.inside and self.inside[-1] == "h2":
            self.headings.append(data.strip())


def parsed(html: str) -> _Tags:
    """Returns what a browser would make of `html`, roughly."""
    reader = _Tags()
    reader.feed(html)
    return reader


def test_page_has_every_section_and_no_tag_that_comes_from_data(
    two: Evaluation, pictures_of_two: Pictures
) -> None:
    """Titles, feature names, a class name and the gate's sentences hold tags: they are shown as text."""
    html = page(Card(two, LINEAGE, DECISION), pictures_of_two)
    found = parsed(html)
    assert found.tags <= ALLOWED_TAGS | {"svg"}
    assert found.headings == ["Gate:", *SECTIONS]
    for shown in ("<script>alert(", "<b>number 0</b> | pipe", "Row <b>7</b> | differs.", "run<7>", "c0ffee"):
        assert shown in found.text
    assert "\\u202e" in found.text
    assert "\u202e" not in html


def test_page_needs_nothing_else(two: Evaluation, pictures_of_two: Pictures) -> None:
    """No script, no address that a browser would ask; the policy forbids them as well."""
    html = page(Card(two), pictures_of_two)
    assert not re.search(r"<(script|link|img|iframe|object)\b", html)
    assert not re.search(
        r"""(src|href)\s*=\s*["']?(?!#)[^"'#]*:""", re.sub(r'xmlns(:\w+)?="[^"]*"', "", html)
    )
    assert "default-src 'none'" in html


def test_pictures_are_whole_xml_and_show_hostile_class_names_as_text(
    three: Evaluation, pictures_of_two: Pictures, pictures_of_three: Pictures
) -> None:
    """Four with two classes, three with more; none with a foreign element."""
    hostile = three.model_copy(
        update={
            "curves": tuple(each.model_copy(update={"class_name": "<i>&x$a^b$"}) for each in three.curves)
        }
    )
    assert all(pictures_of_two)
    pictures_of_hostile = pictures_of(hostile)
    for pictures in (pictures_of_two, pictures_of_three, pictures_of_hostile):
        for name, svg in pictures._asdict().items():
            if name == "threshold" and pictures is not pictures_of_two:
                assert svg == ""
                continue
            tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(svg).iter()}  # noqa: S314
            assert "script" not in tags
            assert "i" not in tags
    assert "&lt;i&gt;&amp;x$a^b$" in pictures_of_hostile.roc


def test_the_same_evaluation_gives_the_same_card(two: Evaluation, pictures_of_two: Pictures) -> None:
    """Every byte: a card can be compared with the last one."""
    first, second = (page(Card(two), pictures) for pictures in (pictures_of_two, pictures_of(two)))
    assert first == second


def test_markdown_has_every_section_and_its_tables_hold_together(
    two: Evaluation, pictures_of_two: Pictures
) -> None:
    """Rendered by a CommonMark reader with tables: the right headings, even rows, and no tag from data."""
    text = markdown(Card(two, LINEAGE, DECISION), pictures_of_two)
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    found = parsed(html)
    assert found.headings == ["Gate: refused", *SECTIONS[:3], "Calibration", *SECTIONS[3:]]
    assert found.tags <= ALLOWED_TAGS | {"strong", "code", "img"}
    assert "a" not in found.tags
    for table in re.findall(r"<table>.*?</table>", html, re.DOTALL):
        rows = [len(re.findall(r"<t[hd]\b", row)) for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)]
        assert len(set(rows)) == 1, table
        assert len(rows) > 1
    assert "<script>alert(" in found.text
    assert "Row <b>7</b> | differs." in found.text
    assert not re.search(r"^\|.*[^|]$", text, re.MULTILINE) or all(
        line.rstrip().endswith("|") for line in text.splitlines() if line.startswith("|")
    )


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>", "[a](http://evil)", "![a](x)", "`code`", "*a* _b_ **c** ~~d~~",
        "| a | b |",
        "a\n\n# heading", "a\r\n| x |", "http://evil.example www.evil.example a@b.example", "&lt;b&gt; &#60;",
        "\\<b>", "<!-- x -->", "$x^2$", "- a", "1. a", "> a", "\u202eevil", "\x1b[31m", "``` \n", "=====",
    ],
)  # fmt: skip
def test_hostile_text_stays_text_in_markdown(hostile: str) -> None:
    """Whatever a subject holds, a reader of Markdown sees its characters in one cell, and nothing is run."""
    from training.corpus.printable import printable

    reader = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")
    html = reader.render(f"| title |\n| --- |\n| {escaped_markdown(hostile)} |\n\n**end**\n")
    found = parsed(html)
    assert found.tags == {"table", "thead", "tbody", "tr", "th", "td", "p", "strong"}
    cell = re.search(r"<td>(.*)</td>", html)
    assert cell is not None
    assert parsed(cell[1]).text == printable(hostile).strip()


def test_what_is_missing_is_said(three: Evaluation, pictures_of_three: Pictures) -> None:
    """No slices, evasions, dates, importance or titles: each with its words, in both forms."""
    texts = tuple(form(Card(three), pictures_of_three) for form in (page, markdown))
    for text in texts:
        for words in (
            "This data has no slices", "No evasion is known", "the data has no dates",
            "this estimator cannot tell what each feature adds", "The most probable class is the answer",
            "it is defined for two classes",
        ):  # fmt: skip
            assert words in text
        assert "None" not in text
        assert "nan" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL).lower()


def test_a_model_without_a_mistake_has_a_card(two: Evaluation) -> None:
    """An empty list of errors is not an error."""
    spotless = two.model_copy(
        update={"errors": (), "error_count": 0, "importance": (), "importance_reason": "x"}
    )
    assert "0 of 90 test rows were answered wrongly." in page(Card(spotless), pictures_of(spotless))


def test_long_lists_say_that_they_are_cut_and_long_titles_too(
    two: Evaluation, pictures_of_two: Pictures
) -> None:
    """Fifty of seventy mistakes, and at most 120 characters of a title."""
    long = two.errors[0].model_copy(update={"title": "x" * 500})
    many = two.model_copy(update={"errors": (long,) * 50, "error_count": 70})
    html = page(Card(many), pictures_of_two)
    assert "70 of 90 test rows were answered wrongly; these are the most confident 50." in html
    assert "x" * 119 + "…" in html
    assert "x" * 120 not in html


def test_written_card_is_a_folder_with_both_forms_the_pictures_and_the_figures(
    two: Evaluation, tmp_path: Path
) -> None:
    """The Markdown names pictures that are there, and the figures come back as they were."""
    paths = write(Card(two, LINEAGE, DECISION), tmp_path / "card")
    assert {path.name for path in (tmp_path / "card").iterdir()} == set(paths)
    text = paths["model-card.md"].read_text(encoding="utf-8")
    pictures = re.findall(r"\]\((\w+\.svg)\)", text)
    assert len(pictures) == 4
    for name in pictures:
        ET.parse(paths[name])  # noqa: S314
    assert Evaluation.model_validate_json(paths["evaluation.json"].read_text()) == two
    assert json.loads(paths["evaluation.json"].read_text())["workload"] == "regression"
