"""Accounts, sessions, tokens and permissions."""
