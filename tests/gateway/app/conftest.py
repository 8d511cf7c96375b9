"""State folders with a migrated database, small bundles, and a gateway for all tests of a module."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from kit.files import locked
from tests.gateway.app.stand import THRESHOLD, Stand, standing
from tests.records.conftest import migrated
from tests.serving.bundles import mail_bundle

_WAIT_SECONDS = 300


@pytest.fixture(scope="session")
def mails(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bundle for each environment, two different models; the workers of a run share them."""
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "gateway-bundles"
    folders = {"staging": shared / "mails-1", "production": shared / "mails-2"}
    with locked(shared / ".lock", what="Making bundles", timeout_seconds=_WAIT_SECONDS):
        for seed, folder in enumerate(folders.values(), 1):
            if not folder.exists():
                mail_bundle(folder, seed, threshold=THRESHOLD)
    return folders


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder with a migrated database, which is this process' own."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLUICE_HOME", str(folder))
        migrated(f"sqlite+aiosqlite:///{folder / 'records.db'}")
        yield folder


@pytest.fixture(scope="module")
def embedded(mails: dict[str, Path]) -> dict[str, Any]:
    """Settings of a gateway that answers by itself."""
    return {"backend": "embedded", "bundles": mails}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stand(root: Path, embedded: dict[str, Any]) -> AsyncIterator[Stand]:
    """A gateway with two environments, as it is set by default."""
    async with standing(root, **embedded) as opened:
        yield opened
