"""Drift: is what a model is asked today what it was made on? Judged by family, by chance and by size."""
