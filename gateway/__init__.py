"""The front door: authentication, limits, routing by environment, prediction records."""
