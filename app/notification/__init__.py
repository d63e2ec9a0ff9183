"""Notifications: what happened that somebody wants to hear of."""
