"""`python -m gateway`: the gateway as a process."""

import sys

if __name__ == "__main__":
    from gateway.server import serve
    from kit.errors import SluiceError

    if sys.argv[1:]:
        sys.exit(
            "python -m gateway takes no arguments: variables set it, GATEWAY_… (docs/reference/settings.md)."
        )
    try:
        serve()
    except SluiceError as exc:
        sys.exit(f"{exc.message} {exc.next_step or ''}".strip())
