"""The story of `make demo`: the whole platform on real e-mail, every value measured in that run."""
