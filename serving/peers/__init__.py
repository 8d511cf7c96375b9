"""Other serving frameworks, each in its own idiom around the same extraction and graph, for `sluice bench`.

Each module is a program, or is loaded by one, in an environment of its own (`make peers`); nothing of the
platform imports them. docs/benchmarks.md says what each one does and with which settings.
"""
