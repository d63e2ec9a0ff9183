"""The application's own base: settings, roles and permissions."""

API = "/api/v1"
"""Prefix of the framework's routes; slices have theirs in their views."""
