"""Accepts the version, or refuses it with reasons and fails."""
