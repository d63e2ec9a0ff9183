"""The application's own base: settings, roles, errors."""
