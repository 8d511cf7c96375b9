"""The tables of this machine's records, made before anybody writes into them."""

import asyncio

from pydantic import SecretStr

from kit.home import Home
from records import migrate
from records.engine import build_engine
from records.settings import SQLITE, RecordsSettings


def ensure(home: Home) -> None:
    """Brings the SQLite file of `home` to this code's revision; another database is its owner's to upgrade.

    Raises:
        RecordsUnavailable: the file cannot be used.
    """
    settings = RecordsSettings.load()
    if settings.url is None:
        address = SecretStr(f"{SQLITE}:///{home.records}")
        asyncio.run(_upgraded(settings.model_copy(update={"url": address})))


async def _upgraded(settings: RecordsSettings) -> None:
    engine = build_engine(settings)
    try:
        await migrate.upgrade(engine)
    finally:
        await engine.dispose()
