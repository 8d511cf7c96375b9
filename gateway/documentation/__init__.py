"""The OpenAPI document of the gateway: FastAPI finds the paths, and what is said of them stands here."""
