"""Folders and files that nobody but their owner may read."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private_folder(folder: Path) -> None:
    """Make a folder, or take others' rights away from one that is there and from its files.

    What lies in folders below is behind this one. A folder that cannot be made or changed is left
    to whoever uses it next, with a better message. One with the sticky bit, such as `/tmp`, is
    meant for everybody.
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
    """Make an empty file, if there is none: what SQLite makes by itself, everybody may read."""
    with suppress(OSError):
        path.touch(mode=stat.S_IRUSR | stat.S_IWUSR)


def _close(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & OTHERS:
        path.chmod(mode & ~OTHERS)
