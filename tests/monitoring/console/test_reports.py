"""Reports: those of drift runs and no other file, in a sandbox."""

from pathlib import Path

import httpx
import pytest

from contracts.monitoring import CONSOLE
from kit.home import Home
from monitoring.console.pages.reports import link
from tests.monitoring.console.filling import PAGE, REPORT

SECRET = "what nobody may see"

ELSEWHERE = (
    "secret.html", "../secret.html", "drift/../secret.html", "drift/../../secret.html",
    "drift-other/secret.html", "drift/note.txt", "drift/out.html", "drift/away/secret.html",
    "drift/loop.html", "drift/folder.html",
    "drift", "drift/", "", "/etc/passwd", "drift//etc/passwd", "drift/%00.html",
    "drift/" + "a" * 5000 + ".html", "drift/a/" * 300 + "x.html", "..%2f..%2fsecret.html",
    "drift/..%2f..%2fsecret.html", "%2e%2e/secret.html",
    "drift\\..\\secret.html", "gateway/keys.json", "../gateway/keys.json", "drift/\u202e.html",
)  # fmt: skip


@pytest.fixture
def folder(home: Home) -> Path:
    """The folder of reports, with one in it and other files around."""
    path = home.root / REPORT
    path.parent.mkdir(parents=True)
    path.write_text(PAGE, encoding="utf-8")
    for place in ("secret.html", "reports/secret.html", "reports/drift-other/secret.html"):
        (home.root / place).parent.mkdir(exist_ok=True)
        (home.root / place).write_text(SECRET, encoding="utf-8")
    drift = home.reports / "drift"
    (drift / "note.txt").write_text(SECRET, encoding="utf-8")
    (drift / "out.html").symlink_to(home.root / "secret.html")
    (drift / "away").symlink_to(home.root)
    (drift / "loop.html").symlink_to(drift / "loop.html")
    (drift / "folder.html").mkdir()
    return drift


async def test_a_report_is_shown_in_a_sandbox(ann: httpx.AsyncClient, home: Home, folder: Path) -> None:
    """Its own scripts run, without an origin, and load nothing."""
    answer = await ann.get(link(home, REPORT))
    assert (answer.status_code, answer.text) == (200, PAGE)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'")
    assert "allow-same-origin" not in policy
    assert "connect-src" not in policy
    assert "http" not in policy


async def test_nothing_else_is_shown(ann: httpx.AsyncClient, folder: Path) -> None:
    """Neither by dots, nor by links, nor by names."""
    for path in ELSEWHERE:
        answer = await ann.get(f"{CONSOLE}/reports/{path}")
        assert answer.status_code == 404, path[:40]
        assert SECRET not in answer.text


async def test_a_report_of_any_name_is_found(ann: httpx.AsyncClient, home: Home, folder: Path) -> None:
    """The drift job quotes names for its folders; the link quotes them for the address."""
    path = folder / "a%2Fb c?d" / "1" / "x#y.html"
    path.parent.mkdir(parents=True)
    path.write_text(PAGE, encoding="utf-8")
    for stored in (str(path), str(path.relative_to(home.root))):
        assert (await ann.get(link(home, stored))).text == PAGE


def test_a_report_that_is_not_here_has_no_link(home: Home, folder: Path) -> None:
    """Nor has a path that leads elsewhere."""
    for stored in (
        "", "reports/drift/none.html", "secret.html", "../x.html", "/etc/passwd", "reports/drift/out.html",
        "javascript:alert(1)", "https://evil.example/x.html", "\x00",
    ):  # fmt: skip
        assert link(home, stored) == "", stored
