"""Whether the gateway was told to stop: known to whoever must say so before it happens."""


class Stopping:
    """Set once, by the server."""

    def __init__(self) -> None:
        self.told = False
        """From the signal on: readiness says no, and requests are still answered."""
        self.giving_up = False
        """The time for requests in flight is over."""
