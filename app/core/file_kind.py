"""Kinds of files that no slice has of its own."""

from __future__ import annotations

from strongback.file import FileKind

ATTACHMENT = FileKind(
    "attachment",
    types=("application/pdf", "application/zip", "text/plain"),
    max_bytes=32_000_000,
)
"""What people keep for themselves: documents and archives."""
