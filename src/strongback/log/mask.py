"""Masks values for the log: secrets become `***`, and no text can start a line of its own.

Everything here is pure: values in, values that JSON knows out. Every pattern has bounded
repetitions, so that a hostile text costs time in proportion to its length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

MASK = "***"
MAX_DEPTH = 6
"""Containers below this depth are replaced by an ellipsis."""
MAX_ITEMS = 100
"""Items of one container that are written."""
MAX_TEXT = 16_384
"""Characters of one value that are written."""
MAX_TRACEBACK = 262_144
"""Characters of a traceback that are written; a chain of any sane length fits."""

_SENSITIVE = (
    "passwords?|passwd|pwd|tokens?|secrets?|secret_?keys?|api_?keys?|private_?keys?|credentials?"
    "|authorization|(?:set_?)?cookies?|phones?|phone_?numbers?|mobile|otp|sms_?code"
    "|verification_?code"
)
_SECRET_KEY = re.compile(f"(?:.*[_.])?(?:{_SENSITIVE})|.*(?:password|token|secret|apikey)|code")
_secret_keys: set[str] = set()
"""Those that applications have added."""

# A value in double or single quotes, its end perhaps cut off, or without any.
_VALUE = r"""(?:"(?:[^"\\\n]|\\.){0,4096}"?|'(?:[^'\\\n]|\\.){0,4096}'?|[^\s&"'<>]{1,4096})"""
_Replacement = str | Callable[[re.Match[str]], str]

_HEADER = re.compile(
    r"(?i)((?:authorization|cookie|x-api-key)[\"']?\s{0,3}:\s{0,3}[\"']?)[^\r\n\"']{1,4096}"
)
_SCHEME = re.compile(
    r"(?i:\b(bearer))\s{1,4}[\w.~+/-]{1,4096}=*|\b(Basic) (?=[a-z]*[A-Z0-9=])[\w+/]{8,4096}=*"
)
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{5,4096}\.[\w-]{1,8192}(?:\.[\w-]{0,4096})?")
_ADDRESS = re.compile(r"(?<=://)([^\s:/?#@]{0,256}):[^\s/]{1,1024}@")
_PAIR = re.compile(
    rf"(?i)((?:{_SENSITIVE.replace('_?', '[_-]?')})"
    rf"(?:\s{{0,3}}=\s{{0,3}}|[\"']\s{{0,3}}:\s{{0,3}}))(?!{re.escape(MASK)}){_VALUE}"
)
# Whole values in the texts of SQLAlchemy and pydantic, which name no key beside them.
_PARAMETERS = re.compile(r"\[parameters: [^\n]+")
_INPUT = re.compile(r"input_value=[^\n]{1,1024}?, input_type=")
_CODE = re.compile(r"(?i)((?<![\w-])code(?:=|[\"']\s{0,3}:\s{0,3})[\"']?)[\w.~%-]{6,4096}")
# A number in a text is a telephone number when it has the shape of one and stands alone: a
# neighbouring letter or digit means a hash, an id or a time stamp. `%2B` is a form's `+`.
_PHONE = re.compile(
    r"(?:(?<![0-9A-Za-z])(?<!\d\.)|(?<=%[0-9A-Fa-f]{2}))"
    r"(?:\+[1-9]\d{0,2}(?:[ -]?\d){6,13}|(?:86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4})(?![0-9A-Za-z])"
)
_RULES: tuple[tuple[re.Pattern[str], _Replacement], ...] = (
    (_PARAMETERS, f"[parameters: {MASK}]"),
    (_INPUT, f"input_value={MASK}, input_type="),
    (_ADDRESS, rf"\1:{MASK}@"),
    (_HEADER, rf"\1{MASK}"),
    (_PAIR, lambda match: match[1] + _in_quotes(match[0][len(match[1]) :])),
    (_CODE, rf"\1{MASK}"),
    (_SCHEME, lambda match: f"{match[1] or match[2]} {MASK}"),
    (_JWT, MASK),
    (_PHONE, MASK),
)
# Without one of these no rule can match. Plain searches: this is run on every text of every event.
_MARKS = ("=", "://", "[", "'", '"', "+", "eyJ")
_WORDS = ("bearer", "basic ", "authorization", "cookie", "api-key")
_HTTP_STATUS = range(100, 600)
_MOBILE = re.compile(r"1[3-9]\d[ -]?\d{4}")

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROL_BYTES = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]")


def add_secret_keys(keys: Iterable[str]) -> None:
    """Never write values under these keys either, in this process."""
    _secret_keys.update(key.lower().replace("-", "_") for key in keys)
    is_secret_key.cache_clear()


@lru_cache(maxsize=1024)
def is_secret_key(key: str) -> bool:
    """Tell whether no value under this key is ever written."""
    name = key.lower().replace("-", "_")
    return name in _secret_keys or _SECRET_KEY.fullmatch(name) is not None


def mask_text(text: str, limit: int = MAX_TEXT) -> str:
    """Return the text with every secret in it replaced, cut to `limit` characters."""
    if len(text) > limit:
        text = f"{text[:limit]}… ({len(text) - limit} more characters)"
    if not _is_suspect(text):
        return text
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def mask_fields(fields: Mapping[Any, object], depth: int = 0) -> dict[str, object]:
    """Return the fields as JSON knows them, with secrets replaced at any depth."""
    masked: dict[str, object] = {}
    for key, value in fields.items():
        if len(masked) >= MAX_ITEMS:
            masked["…"] = f"{len(fields) - MAX_ITEMS} more"
            break
        name = key if type(key) is str else str(key)
        masked[name if name.isidentifier() else mask_text(name)] = (
            _mask_secret(name, value) if is_secret_key(name) else _mask_value(value, depth)
        )
    return masked


def is_harmless(texts: Iterable[str]) -> bool:
    """Tell in one look that none of these short texts needs masking."""
    return not _is_suspect("\n".join(texts))


def escape_controls(text: str) -> str:
    r"""Write line breaks, terminal escapes and direction overrides as `\n`, `\x1b`, `\u2028`."""
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda match: _escape(match[0]), text)


def escape_json(line: bytes) -> bytes:
    """Escape what JSON lets through raw and some reader takes for a line break or a command."""
    if line.isascii() and b"\x7f" not in line:
        return line
    return _CONTROL_BYTES.sub(lambda match: b"\\u%04x" % ord(match[0].decode()), line)


def indent(text: str) -> str:
    """Set a text of many lines in from the margin, where no event begins."""
    lines = text.rstrip("\n").split("\n")
    return "\n".join(f"    {escape_controls(line)}" for line in lines)


def _is_suspect(text: str) -> bool:
    lowered = text.lower()
    return (
        any(mark in text for mark in _MARKS)
        or any(word in lowered for word in _WORDS)
        or _MOBILE.search(text) is not None
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()


def _in_quotes(value: str) -> str:
    quote = value[0] if value[0] in "\"'" else ""
    return f"{quote}{MASK}{quote}"


def _mask_secret(key: str, value: object) -> object:
    if value is None or isinstance(value, bool) or value == "":
        return value
    if key == "code" and isinstance(value, int) and value in _HTTP_STATUS:
        return value  # an HTTP status, under the name it has in an error's body
    return MASK


def _mask_value(value: object, depth: int) -> object:
    if isinstance(value, str):
        return mask_text(str(value))
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray):
        return mask_text(value.decode("utf-8", "backslashreplace"))
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _mask_container(value, depth + 1)
    return mask_text(_describe(value))


def _mask_container(value: Mapping[Any, object] | Iterable[object], depth: int) -> object:
    if depth > MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return mask_fields(value, depth)
    items = list(value)
    masked = [_mask_value(item, depth) for item in items[:MAX_ITEMS]]
    return masked if len(items) <= MAX_ITEMS else [*masked, f"… {len(items) - MAX_ITEMS} more"]


def _describe(value: object) -> str:
    try:
        return repr(value) if isinstance(value, BaseException) else str(value)
    except Exception:  # noqa: BLE001  a log event must not fail on what it describes
        return f"<{type(value).__name__} that cannot be printed>"
