"""The loop: from a verified event to a new version in staging, without running away."""
