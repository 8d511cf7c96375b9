"""Makes features, point in time, and keeps the rows for every later step."""
