"""Logging: one shape for every event of the process."""
