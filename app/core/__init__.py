"""The application's own base: settings, roles and permissions."""

API = "/api/v1"
"""Where the framework's routes are mounted; those of a slice stand in its views."""
