"""Refuses data that is not fit to train on."""
