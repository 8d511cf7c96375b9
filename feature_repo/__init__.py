"""What a feature is: message parsing, feature extraction, Feast definitions and online lookup."""
