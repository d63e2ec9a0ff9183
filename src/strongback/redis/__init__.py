"""Redis: one client for everything that processes share."""
