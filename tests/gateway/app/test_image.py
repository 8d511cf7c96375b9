"""The gateway's image: it runs on the packages of its lock and the code that it copies."""

import json
from pathlib import Path
from typing import Any

from tests.house.test_dockerfiles import ROOT, code_of, imported

MODULES = ("gateway.server", "gateway.backends.oip", "gateway.tracing", "gateway.documentation.document")


def test_the_gateway_runs_on_the_packages_of_its_lock(tmp_path: Path) -> None:
    """No model, no features, no serving, no registry."""
    code = code_of(ROOT / "docker/gateway.Dockerfile", tmp_path / "code")
    answer = imported(code, "gateway", *MODULES)
    assert answer.returncode == 0, answer.stderr
    seen: Any = json.loads(answer.stdout.splitlines()[-1])
    packages = {name.partition(".")[0] for name in seen["ours"]}
    assert packages == {"contracts", "kit", "records", "gateway"}
    assert seen["hidden"] == []
