"""Alembic's folder: `env.py` and the revisions. `records.migrate` runs them; nothing imports them."""
