"""A process that makes keys in a file, as many as it is told, and revokes every other one of them.

`python making.py FILE NAME COUNT`
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from contracts.environments import Environment
from kit.api_keys import keys_file
from kit.api_keys.keys import with_created, with_revoked


def make(path: Path, name: str, count: int) -> None:
    """Makes `count` keys named after `name`, one change of the file each."""
    for index in range(count):
        now = datetime.now(UTC)
        key, _ = keys_file.change(
            path,
            lambda former, index=index, now=now: with_created(  # type: ignore[misc]
                former, name=f"{name}-{index}", now=now, environments=(Environment.STAGING,)
            ),
        )
        if index % 2:
            keys_file.change(path, lambda former, key=key, now=now: with_revoked(former, key.id, now))  # type: ignore[misc]


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
