"""The table of one machine and a cluster is whole: a new difference in the code cannot go unnoticed."""

import textwrap
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, SecretStr

from cli.differences import page, signs
from cli.differences.account import account
from cli.differences.alike import ALIKE
from cli.differences.table import DIFFERENCES
from kit.settings import Settings, settings_config


@pytest.fixture(scope="module")
def found() -> set[str]:
    """The signs of this repository."""
    return signs.found()


def test_every_sign_is_in_the_table_or_has_a_reason_and_only_once(found: set[str]) -> None:
    """When this fails, say in cli/differences what differs on a cluster, or why nothing does."""
    assert account(found) == ([], [], [])


def test_page_and_readme_are_as_the_code_says() -> None:
    """When this fails, run `make docs` and commit."""
    assert page.PAGE.read_text(encoding="utf-8") == page.page()
    readme = page.README.read_text(encoding="utf-8")
    assert readme == page.in_readme(readme)


def test_each_behaviour_is_named_once() -> None:
    """And is decided by something."""
    names = [each.behaviour for each in DIFFERENCES]
    assert len(set(names)) == len(names)
    assert all(each.signs and each.machine != each.cluster for each in DIFFERENCES)
    assert all(signs_of for signs_of in ALIKE.values())


class NewSettings(Settings):
    """A package that somebody adds tomorrow."""

    model_config = settings_config("GATEWAY_")

    cache: Literal["memory", "memcached"] = "memory"
    queue_url: str = ""
    leader: bool = False
    token: SecretStr | None = None
    folder: Path = Path("queue")
    address: str = "127.0.0.1:9000"
    limit: int = Field(default=5, ge=1)
    seconds: float = Field(default=1.5, gt=0)
    name: str = "sluice"


def test_a_new_setting_that_chooses_is_undecided_and_a_number_is_not(found: set[str]) -> None:
    """Few values, a switch, an address, a secret or nothing: somebody has to say what a cluster does."""
    new = set(signs.of_settings([NewSettings]))
    assert new == {
        f"setting GATEWAY_{name}" for name in ("CACHE", "QUEUE_URL", "LEADER", "TOKEN", "FOLDER", "ADDRESS")
    }
    assert account(found | new).undecided == sorted(new)


NEW_SOURCE = """
    import os
    from kfp import dsl, kubernetes

    ADDRESS = "GATEWAY_QUEUE"

    def store(settings, url, task):
        if settings.store == "redis":
            return os.environ["KAFKA_BROKERS"]
        if url.kind is Kind.KUBERNETES or os.getenv(ADDRESS):
            return {"GATEWAY_PORT": "1", "Content-Type": "text/plain"}
        match url.scheme:
            case "sqlite":
                return None
        with dsl.If(task.output == 1):
            task.set_gpu_limit(1)
            kubernetes.add_toleration(task)
        if url.name == "somebody":
            return os.environ.get("HOSTNAME")
"""


@pytest.mark.parametrize(
    "sign",
    [
        "branch pipelines/new.py: redis",
        "branch pipelines/new.py: kubernetes",
        "branch pipelines/new.py: sqlite",
        "variable KAFKA_BROKERS",
        "variable GATEWAY_QUEUE",
        "variable HOSTNAME",
        "kfp If",
        "kfp set_gpu_limit",
        "kfp add_toleration",
    ],
)
def test_a_new_branch_variable_or_kfp_feature_is_undecided(found: set[str], sign: str) -> None:
    """An engine in a comparison, a variable read by hand, what kfp's local runner may not have."""
    names = {"ADDRESS": "GATEWAY_QUEUE"}
    new = set(signs.of_source("pipelines/new.py", textwrap.dedent(NEW_SOURCE), {"GATEWAY_PORT"}, names))
    assert sign in new
    assert sign in account(found | new).undecided


def test_what_tells_no_places_apart_is_no_sign() -> None:
    """Headers, other comparisons and the words of a log stay out of the table."""
    source = 'def f(kind):\n    return {"Content-Type": "a", "REDIS": 1} if kind == "header" else "redis"\n'
    assert list(signs.of_source("gateway/new.py", source, {"GATEWAY_PORT"}, {})) == []


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("records/redis_cache.py", "module records/redis_cache.py"),
        ("serving/kubernetes/pods.py", "module serving/kubernetes/"),
        ("gateway/entry.py", None),
    ],
)
def test_a_new_module_that_is_named_after_a_place_is_a_sign(name: str, sign: str | None) -> None:
    """An adapter for an engine begins with a file."""
    assert list(signs.of_module(name)) == ([sign] if sign else [])


def test_a_new_program_and_a_new_variable_of_an_image_are_undecided(found: set[str]) -> None:
    """What `sluice up` starts has another form on a cluster; an image's settings are not the defaults."""
    source = "def cache(home) -> Program:\n    return Program()\n"
    new = set(signs.of_source("serving/local/programs.py", source, set(), {}))
    new |= set(
        signs.of_image("new.Dockerfile", "ENV PATH=/bin \\\n    GATEWAY_DOCS=false\n", {"GATEWAY_DOCS"})
    )
    assert new == {"program cache", "image new.Dockerfile: GATEWAY_DOCS=false"}
    assert account(found | new).undecided == sorted(new)


def test_a_row_of_what_is_gone_and_a_sign_that_is_named_twice_are_told(found: set[str]) -> None:
    """The table does not outlive the code."""
    first = DIFFERENCES[0]
    assert account(found - {first.signs[0]}).stale == [first.signs[0]]
    assert account(found, (*DIFFERENCES, first)).twice == sorted(first.signs)


def test_a_readme_without_the_marks_is_refused() -> None:
    """The table would be lost without a word."""
    with pytest.raises(ValueError, match="laptop-and-cluster"):
        page.in_readme("# Sluice\n")
