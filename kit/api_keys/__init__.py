"""API keys: their form, the file that holds them as salted hashes, and who may be let in by one."""
