"""What the parts agree on: pure data, standard library and pydantic only.

A fact stands here only if it crosses a process or a file boundary and two packages need it.
"""
