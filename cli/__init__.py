"""The `sluice` command: thin and lazy; each package brings its own sub-command."""
