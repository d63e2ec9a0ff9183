"""Servers that the tests start for themselves, on private ports, and stop again."""
