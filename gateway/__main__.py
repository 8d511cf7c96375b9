"""`python -m gateway`: the gateway as a process."""

import sys

if __name__ == "__main__":
    from gateway.server import serve
    from kit.errors import SluiceError

    try:
        serve()
    except SluiceError as exc:
        sys.exit(f"{exc.message} {exc.next_step or ''}".strip())
