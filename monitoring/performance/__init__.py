"""Live performance: how good the answers are, by the labels people give, and by estimate without them."""
