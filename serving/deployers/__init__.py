"""The places where model versions serve, behind one protocol."""
