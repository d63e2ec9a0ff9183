"""Permissions of the routes of files."""

from __future__ import annotations

from strongback.auth.permission import Permission


class FilePermission(Permission):
    """What may be done with files."""

    READ = ("file:read", "View and download your files.")
    WRITE = ("file:write", "Upload files, and delete your own.")
    MANAGE = ("file:manage", "View and delete anybody's files.")
