"""The console: what the platform knows, as a small web page for people with an admin key."""
