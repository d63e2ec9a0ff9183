"""The file `.env`, read as docker compose reads it, so that both know the same values."""

from __future__ import annotations

import io
import re
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from strongback.exceptions import ConfigurationError

_SINGLE_QUOTED = re.compile(r"[^=]*=\s*'")


def read_env_file(path: Path | None) -> dict[str, str]:
    """Read `NAME=value` lines as docker compose does, names in lower case.

    Raises:
        ConfigurationError: The file cannot be read, or compose would read another value.
    """
    if path is None or not path.is_file():
        return {}
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        message = f"{path}, line {line}: not UTF-8; save the file in that encoding"
        raise ConfigurationError(message) from None
    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        if fault := _fault(binding):
            source = binding.original.string
            blank = source[: len(source) - len(source.lstrip())].count("\n")
            raise ConfigurationError(f"{path}, line {binding.original.line + blank}: {fault}")
        if binding.key and binding.value:
            values[binding.key.lower()] = binding.value
    return values


def _fault(binding: Binding) -> str | None:
    """Return why a line is refused, and what to write."""
    if binding.error:
        return (
            "no line of the form NAME=value, or a quote that is not closed; write a value with"
            " special characters in single quotes: NAME='value'"
        )
    is_quoted = _SINGLE_QUOTED.match(binding.original.string)
    if "$" in (binding.value or "") and not is_quoted:
        return (
            f"{binding.key} holds a $, which docker compose would replace; write the value in"
            f" single quotes: {binding.key}='value'"
        )
    if is_quoted and "\\\\" in binding.original.string:
        return (
            f"{binding.key} holds two backslashes, which docker compose reads as two and this"
            " application as one; choose another value"
        )
    return None
