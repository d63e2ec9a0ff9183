"""Accounts, sessions, tokens and permissions."""

from strongback.auth.account import Account, Accounts
from strongback.auth.permission import Permission, Roles
from strongback.auth.principal import Principal

__all__ = ["Account", "Accounts", "Permission", "Principal", "Roles"]
