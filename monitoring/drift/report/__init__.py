"""The page of a drift run, for people."""
