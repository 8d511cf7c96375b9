"""`python -m monitoring`: console, receiver and the jobs by the clock, as one process."""

import sys

from kit.errors import SluiceError
from monitoring.server import serve

if __name__ == "__main__":
    try:
        serve()
    except SluiceError as error:
        sys.stderr.write(f"{error.title}: {error.message}\n")
        if error.next_step:
            sys.stderr.write(f"Next: {error.next_step}\n")
        sys.exit(error.exit_code)
