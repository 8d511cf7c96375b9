"""What the platform remembers: SQL tables, migrations and small repositories."""
