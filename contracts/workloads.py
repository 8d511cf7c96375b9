"""The workload that is meant where a command or a job names none."""

from typing import Final

DEFAULT: Final = "spam-detector"
