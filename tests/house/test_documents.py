"""The documents are true: generated pages are fresh, links lead somewhere, every decision has its shape."""

import re
from pathlib import Path

import pytest

from cli.main import COMMANDS, load
from cli.reference import FOLDER, PAGES, settings_classes

ROOT = Path(__file__).parents[2]
PAGES_OF_PEOPLE = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_as_the_code_says(name: str) -> None:
    """When this fails, run `make docs` and commit."""
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name]()


def test_every_setting_has_a_description() -> None:
    """A setting that nobody can explain is not a setting."""
    for settings in settings_classes():
        for name, field in settings.model_fields.items():
            assert field.description, f"{settings.__name__}.{name}"


def test_every_settings_class_is_in_the_reference() -> None:
    """A class that is added to a package is added to the page."""
    listed = {settings.__name__ for settings in settings_classes()}
    written = set()
    for path in ROOT.glob("[a-z]*/**/*.py"):
        if path.parts[len(ROOT.parts)] in ("tests", "docs"):
            continue
        written |= set(re.findall(r"^class (\w+)\(Settings\):", path.read_text("utf-8"), re.MULTILINE))
    assert written == listed


@pytest.mark.parametrize("page", PAGES_OF_PEOPLE, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_to_files(page: Path) -> None:
    """A reader who follows a link arrives."""
    text = re.sub(r"`[^`\n]*`", "", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES_OF_PEOPLE, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_the_documents_exist(page: Path) -> None:
    """Every `sluice X` that a page names in code can be called, and so can every `sluice X Y` of a group."""
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`sluice ([a-z]+)(?: ([a-z]+))?", text))
    named |= set(
        re.findall(r"^ *sluice ([a-z]+)(?: ([a-z]+))?", "\n".join(FENCED.findall(text)), re.MULTILINE)
    )
    for name, member in sorted(named):
        assert name in COMMANDS, f"{page.name}: sluice {name}"
        members = getattr(load(name), "commands", None)
        assert not member or not members or member in members, f"{page.name}: sluice {name} {member}"


@pytest.mark.parametrize("page", sorted((ROOT / "docs/adr").glob("[0-9]*.md")), ids=lambda path: path.name)
def test_a_decision_has_its_four_parts(page: Path) -> None:
    """One page each: Context, Decision, Consequences, Alternatives."""
    headings = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == ["Context", "Decision", "Consequences", "Alternatives"]
