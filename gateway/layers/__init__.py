"""Layers around the routes, each a plain ASGI application that wraps the next."""
