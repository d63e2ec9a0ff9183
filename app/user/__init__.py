"""Accounts: who writes, comments and reads."""
