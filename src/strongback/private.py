"""Folders and files that only their owner may read."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private_folder(folder: Path) -> None:
    """Create a folder, or remove the rights of others from an existing one and its files.

    Folders below are protected by this one. Errors are ignored, since the next use of the folder
    has a better message. A folder with the sticky bit, such as `/tmp`, is left unchanged.
    """
    with suppress(OSError):
        folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
        if folder.stat().st_mode & stat.S_ISVTX:
            return
        _close(folder)
        for path in folder.iterdir():
            if path.is_file() and not path.is_symlink():
                _close(path)


def make_private_file(path: Path) -> None:
    """Create an empty file if there is none: SQLite would create one that everybody may read."""
    with suppress(OSError):
        path.touch(mode=stat.S_IRUSR | stat.S_IWUSR)


def _close(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & OTHERS:
        path.chmod(mode & ~OTHERS)
