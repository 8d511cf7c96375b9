"""What importing Feast leaves behind."""

import subprocess
import sys

PROBE = """
import os
from feature_repo import feast_names
from prometheus_client import CollectorRegistry, Counter

told = []
for _ in range(2):
    counter = Counter("x", "y", registry=CollectorRegistry())
    counter.inc()
    told.append(counter._value.get())
print(told, [name for name in os.environ if name.startswith("PROMETHEUS")])
"""


def test_counters_of_two_registries_stay_apart_and_no_variable_is_handed_down() -> None:
    """Where Feast is imported first, it would make one counter of both, in a file."""
    ran = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, timeout=120
    )
    assert ran.stdout.strip() == "[1.0, 1.0] []"
