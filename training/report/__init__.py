"""The model card: what an evaluation found, for people, as Markdown and as one HTML page."""
