"""The corpus of labelled messages: fetched, normalised, clustered, split, checked and described."""
