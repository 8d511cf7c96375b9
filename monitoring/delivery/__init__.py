"""Delivery: from the outbox to each channel, at least once, in the channel's own format."""
