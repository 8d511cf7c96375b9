"""One folder for each component: its signature, and a few lines that call `training.steps`."""
