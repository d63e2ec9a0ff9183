"""Extras: parts whose packages the base does not bring, and the line that says which is missing.

`pip install strongback` brings what serves an API without another server; each further part is an
extra. Whoever configures or registers one that is not installed reads how to install it, then and
not at the first request.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "mysql": ("pymysql",),
    "mysqlclient": ("MySQLdb",),
    "redis": ("redis",),
    "celery": ("celery", "redis"),
    "meilisearch": ("meilisearch",),
    "search": ("rjieba", "tantivy"),
    "sms": ("tencentcloud", "phonenumbers"),
    "realtime": ("websockets", "google.protobuf"),
    "file": ("obstore", "PIL"),
    "heic": ("pillow_heif",),
    "granian": ("granian",),
}
"""What each extra is imported as."""


def missing_extra(extra: str, part: str) -> str | None:
    """One line that says how to install an extra for a part or variable; None if it is there."""
    missing = [name for name in PACKAGES[extra] if not _is_there(name)]
    if not missing:
        return None
    names = " and ".join(missing)
    return f'{part} needs {names}, not installed: pip install "strongback[{extra}]"'


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # not even the package that it is in
        return False


def require_extra(extra: str, part: str) -> None:
    """Raise `ConfigurationError`, with the command that installs it, if an extra lacks."""
    if line := missing_extra(extra, part):
        from strongback.exceptions import ConfigurationError  # noqa: PLC0415  click is not free

        raise ConfigurationError(line)


def lazily(
    package: str, names: Mapping[str, str], extra: str | None = None
) -> Callable[[str], object]:
    """Return a package's `__getattr__` (PEP 562) that imports a name when it is first used.

    From the module that it is in, once the extra that it needs is seen to be installed.
    """

    def find(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if extra is not None:
            require_extra(extra, f"{package}.{name}")
        value = getattr(import_module(names[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return find
