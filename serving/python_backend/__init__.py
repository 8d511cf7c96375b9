"""The program that runs inside Triton's Python backend; it is copied, never imported."""
