"""The gateway before everything, and other serving frameworks, measured in one run.

`sluice bench gateway` runs it, docs/benchmarks.md is the method. It stands above the packages because it
starts all of them: Triton, transformer, gateway and peers.
"""
