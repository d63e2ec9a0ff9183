"""The three routes, what is sent to them, and what every competitor has to answer."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from benchmarks.http.data import LISTING, SMALL

ITEM: dict[str, Any] = {
    "title": "A comfortable chair",
    "quantity": 12,
    "price": 149.5,
    "published": True,
    "tags": ["furniture", "office", "oak"],
    "day": "2026-03-14",
}

REFUSED: tuple[dict[str, Any], ...] = (
    {"title": "ab"},
    {"title": "x" * 101},
    {"quantity": 0},
    {"quantity": 1001},
    {"price": -1.0},
    {"tags": ["a"] * 11},
    {"tags": [7]},
    {"day": "2026-02-30"},
    {"published": None},
)
"""Changes to the item, each of which makes it invalid."""


@dataclass(frozen=True, slots=True)
class Case:
    """One route and the request that is measured."""

    name: str
    title: str
    method: str
    path: str
    status: int
    answer: Any
    body: bytes = b""

    def changed(self, fields: dict[str, Any]) -> bytes:
        """The body with other fields."""
        return encode({**json.loads(self.body), **fields})


def encode(value: object) -> bytes:
    return json.dumps(value, default=datetime.isoformat).encode()


CASES = {
    case.name: case
    for case in (
        Case("small", "small GET", "GET", "/bench/small", 200, json.loads(encode(asdict(SMALL)))),
        Case("post", "validated POST", "POST", "/bench/items", 201, ITEM, encode(ITEM)),
        Case(
            "list", "list of 50", "GET", "/bench/articles", 200, json.loads(encode(asdict(LISTING)))
        ),
    )
}

HEADERS = (
    ("Host", "127.0.0.1"),
    ("User-Agent", "benchmark"),
    ("Accept", "application/json"),
    ("Accept-Encoding", "identity"),
)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def difference(expected: Any, found: Any, where: str = "body") -> str | None:
    """Where two JSON values differ, type and value, or None.

    An instant may be written with `Z` or `+00:00` (RFC 3339, section 4.3): frameworks differ.
    """
    if isinstance(expected, str) and isinstance(found, str) and _INSTANT.match(expected):
        same = _INSTANT.match(found) and _instant(expected) == _instant(found)
        return None if same else f"{where}: {expected!r} expected, found {found!r}"
    if type(expected) is not type(found):
        return f"{where}: {expected!r} expected, found {found!r}"
    if isinstance(expected, dict):
        if expected.keys() != found.keys():
            return f"{where}: other fields: {sorted(expected.keys() ^ found.keys())}"
        pairs = [(f"{where}.{key}", expected[key], found[key]) for key in expected]
    elif isinstance(expected, list):
        if len(expected) != len(found):
            return f"{where}: {len(expected)} entries expected, found {len(found)}"
        pairs = [
            (f"{where}.{at}", *pair) for at, pair in enumerate(zip(expected, found, strict=True))
        ]
    else:
        return None if expected == found else f"{where}: {expected!r} expected, found {found!r}"
    return next((wrong for at, a, b in pairs if (wrong := difference(a, b, at))), None)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def refuse_wrong(name: str, case: Case, status: int, body: bytes) -> None:
    """Stop where a competitor's answer is not the right one."""
    wrong = None
    if status != case.status:
        wrong = f"status {case.status} expected, found {status}: {body[:200]!r}"
    else:
        wrong = difference(case.answer, json.loads(body))
    if wrong:
        raise SystemExit(f"{name}, {case.title}: {wrong}")


def refuse_lenient(name: str, fields: dict[str, Any], status: int) -> None:
    """Stop where a competitor takes what it should refuse, or breaks on it."""
    if not 400 <= status < 500:
        raise SystemExit(f"{name} answers {status} to an item with {fields}: it must refuse it")
