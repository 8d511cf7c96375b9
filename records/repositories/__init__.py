"""What the platform asks of its memory: small functions, one module for each table.

Each takes the session of `Records.transaction()` or `Records.reading()` first, which sets where a transaction
ends and turns database errors into those of `records.errors`. Times are passed in, never taken from a clock.
"""
