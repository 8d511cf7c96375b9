"""`python -m serving.transformer`: the transformer of one environment, as a process."""

import sys

# The extraction processes import this module too, and need nothing of the server.
if __name__ == "__main__":
    from kit.errors import SluiceError
    from serving.transformer.server import serve

    try:
        serve(sys.argv[1:])
    except SluiceError as exc:
        sys.exit(f"{exc.message} {exc.next_step or ''}".strip())
