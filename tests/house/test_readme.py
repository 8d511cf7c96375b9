"""README and guides can be followed: what they tell to type is understood, and what they name is there."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.exceptions import TyperException

from cli.main import COMMANDS, load

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [
    README,
    *sorted((ROOT / "docs" / "guides").glob("*.md")),
    *sorted((ROOT / "docs" / "tutorials").glob("*.md")),
    ROOT / "docs" / "where.md",
]
SHELL = re.compile(r"^```(?:sh|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`|\]\(([^)#\s]+)")
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
USERS = ("data-scientist", "gateway-client", "platform-engineer", "on-call")
ANY = re.compile(r"\$\(|\||;|&&|>")


def commands(page: Path) -> list[list[str]]:
    """Returns the words of each `sluice` that a page tells to type, without what the shell adds to it."""
    found = []
    for block in SHELL.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if words[:1] == ["sluice"]:
                ends = [at for at, word in enumerate(words) if ANY.match(word)]
                found.append(words[1 : ends[0] if ends else None])
    return found


TYPED = [(page, words) for page in PAGES for words in commands(page)]


def understood(words: list[str]) -> None:
    """Parses a command as the command line does, and does not run it.

    Raises:
        LookupError: there is no such command.
        TyperException: an option or a value is not there, or is missing.
    """
    name, *rest = words
    if name not in COMMANDS:
        raise LookupError(f"There is no command {name}.")
    command: Any = load(name)
    while getattr(command, "commands", None):
        if not rest or rest[0] not in command.commands:
            raise LookupError(f"There is no command {name} {' '.join(rest[:1])}.")
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context("sluice", list(rest))


@pytest.mark.parametrize(
    ("page", "words"), TYPED, ids=[f"{page.stem}: {' '.join(words)}"[:80] for page, words in TYPED]
)
def test_a_command_that_a_page_tells_to_type_is_understood(page: Path, words: list[str]) -> None:
    """Command, options and values are as the page writes them."""
    understood(words)


@pytest.mark.parametrize(
    "words",
    [["fly"], ["model", "fly"], ["model", "list", "--fly"], ["model", "promote", "1", "--to", "moon"]],
)
def test_a_command_that_does_not_exist_is_noticed(words: list[str]) -> None:
    """Each way in which a page grows old."""
    with pytest.raises((LookupError, TyperException)):
        understood(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_path_that_a_page_names_is_there(page: Path) -> None:
    """In code, from the root of the repository; in a link, from the page."""
    for code, link in CODE.findall(page.read_text(encoding="utf-8")):
        if link and "://" not in link:
            assert (page.parent / link).exists(), link
        for word in re.split(r"[\s,;:]+", code):
            first = word.partition("/")[0]
            if "/" in word and first in FOLDERS and not re.search(r"[*<>…{}$]|[A-Z]{4}", word):
                assert (ROOT / word).exists(), word


def test_the_start_of_the_readme_is_carried_out_as_written() -> None:
    """`make` has the targets, and `sluice` the commands; what each of them does has its own tests."""
    start, by_hand = SHELL.findall(README.read_text(encoding="utf-8"))[:2]
    targets = re.findall(r"^make ([a-z]+)", start, re.MULTILINE)
    assert targets == ["demo", "test"]
    for target, runs in (("demo", "sluice demo"), ("test", "pytest")):
        done = subprocess.run(
            ("/usr/bin/env", "make", "--dry-run", target),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert runs in done.stdout
    shown = re.findall(r"^sluice (\w+)", by_hand, re.MULTILINE)
    assert shown == ["up", "predict", "status", "down"]
    script = by_hand.partition("sluice")[0] + "sluice --help\nsluice doctor --json\n"
    done = subprocess.run(
        ("/bin/bash", "-eu", "-c", script), cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert all(f" {name} " in done.stdout for name in shown)


def test_the_readme_leads_each_of_its_four_users_to_a_guide_and_to_the_picture() -> None:
    """Nobody stands before a door without a sign."""
    readme = README.read_text(encoding="utf-8")
    for user in USERS:
        assert f"](docs/guides/{user}.md)" in readme
    assert "](docs/images/sluice.svg)" in readme


def test_every_page_is_reached_from_the_readme() -> None:
    """A page that nobody finds is not there."""
    readme = README.read_text(encoding="utf-8")
    pages = [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "tutorials").glob("*.md")]
    assert [page.name for page in pages if f"]({page.relative_to(ROOT)}" not in readme] == []


def test_the_picture_is_drawn_for_light_and_dark_and_says_what_it_shows() -> None:
    """No script, nothing from elsewhere, words for those who do not see it."""
    picture = (ROOT / "docs" / "images" / "sluice.svg").read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in picture
    assert "<title" in picture
    assert "<desc" in picture
    assert not re.search(r"<script|<image|href=|url\((?!#)", picture)
    sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", picture)]
    assert min(sizes) * 800 / 960 >= 12
