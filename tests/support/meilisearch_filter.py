"""Meilisearch's filter grammar, read as its server reads it.

After the BNF at the top of `crates/filter-parser/src/lib.rs`, and `value.rs` beside it, of
meilisearch/meilisearch: what quotes enclose is unescaped twice, first the quote, then everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

# As its documentation lists them.
KEYWORDS = "AND OR IN NOT TO EXISTS IS NULL EMPTY CONTAINS STARTS WITH".split()  # noqa: SIM905
_TOKEN = re.compile(
    r"""\s*(?:(?P<sign>!=|<=|>=|[()\[\],=<>])|(?P<word>[\w.-]+)"""
    r"""|(?P<quote>["'])(?P<inner>(?:\\.|(?!(?P=quote))[^\\])*)(?P=quote))""",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
Document = Mapping[str, Any]
Test = Callable[[Document], bool]


class BadFilter(Exception):
    """What the server would answer with `invalid_search_filter`."""


class Token(NamedTuple):
    """A sign, a word, or what quotes enclose."""

    kind: str
    text: str


def parse(text: str) -> tuple[Test, list[str], list[str]]:
    """Return what a filter tests, the attributes that it names, and its values, unescaped."""
    reader = _Reader(_tokens(text))
    test = reader.either()
    if reader.tokens:
        reader.fail()
    return test, reader.attributes, reader.values


def _tokens(text: str) -> list[Token]:
    tokens, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise BadFilter(f"`{text[at:][:40]}` is not expected.")
        if match["sign"]:
            tokens.append(Token("sign", match["sign"]))
        elif match["word"]:
            keyword = match["word"] in KEYWORDS
            tokens.append(Token("keyword" if keyword else "value", match["word"]))
        else:
            tokens.append(Token("value", _unescape(match["inner"], match["quote"])))
        at = match.end()
    return tokens


def _unescape(inner: str, quote: str) -> str:
    """Drop the backslashes before quotes, then read every escape, as the server does."""
    once = inner.replace(f"\\{quote}", quote)

    def read(match: re.Match[str]) -> str:
        named = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "'": "'"}
        if match[1] not in named:
            raise BadFilter(f"`{match[0]}` is no escape.")
        return named[match[1]]

    return _ESCAPE.sub(read, once)


class _Reader:
    """Recursive descent."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.attributes: list[str] = []
        self.values: list[str] = []

    def fail(self) -> NoReturn:
        raise BadFilter(f"Found unexpected characters: {self.tokens[:3]}.")

    def takes(self, text: str) -> bool:
        if self.tokens and self.tokens[0].kind != "value" and self.tokens[0].text == text:
            self.tokens.pop(0)
            return True
        return False

    def value(self) -> str:
        if not self.tokens or self.tokens[0].kind != "value":
            self.fail()
        self.values.append(self.tokens[0].text)
        return self.tokens.pop(0).text

    def either(self) -> Test:
        tests = [self.both()]
        while self.takes("OR"):
            tests.append(self.both())
        return lambda document: any(test(document) for test in tests)

    def both(self) -> Test:
        tests = [self.negated()]
        while self.takes("AND"):
            tests.append(self.negated())
        return lambda document: all(test(document) for test in tests)

    def negated(self) -> Test:
        if self.takes("NOT"):
            test = self.negated()
            return lambda document: not test(document)
        if self.takes("("):
            test = self.either()
            if not self.takes(")"):
                self.fail()
            return test
        return self.condition()

    def condition(self) -> Test:
        name = self.value()
        self.attributes.append(self.values.pop())
        if self.takes("IS"):
            return self.empty(name)
        negated = self.takes("NOT")
        if self.takes("EXISTS"):
            return lambda document: (name in document) is not negated
        if self.takes("IN"):
            among = self.listed()
            return lambda document: (not among.isdisjoint(_texts(document, name))) is not negated
        if negated:
            self.fail()
        return self.compared(name)

    def empty(self, name: str) -> Test:
        negated = self.takes("NOT")
        if not self.takes("EMPTY"):
            self.fail()
        return lambda document: (document.get(name) in ("", [], {})) is not negated

    def listed(self) -> set[str]:
        if not self.takes("["):
            self.fail()
        among: set[str] = set()
        while not self.takes("]"):
            among.add(self.value().strip().lower())
            if not self.takes(","):
                if not self.takes("]"):
                    self.fail()
                break
        return among

    def compared(self, name: str) -> Test:
        if self.takes("="):
            wanted = self.value().strip().lower()
            return lambda document: wanted in _texts(document, name)
        if self.takes("!="):
            wanted = self.value().strip().lower()
            return lambda document: wanted not in _texts(document, name)
        for sign, compare in _ORDERS.items():
            if self.takes(sign):
                limit = float(self.value())
                return lambda document, c=compare: any(  # type: ignore[misc]  # the loop's one
                    c(one, limit) for one in _numbers(document, name)
                )
        low = float(self.value())
        if not self.takes("TO"):
            self.fail()
        high = float(self.value())
        return lambda document: any(low <= one <= high for one in _numbers(document, name))


_ORDERS: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda one, other: one >= other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    "<": lambda one, other: one < other,
}


def _all(document: Document, name: str) -> list[Any]:
    value = document.get(name)
    return value if isinstance(value, list) else [] if value is None else [value]


def _texts(document: Document, name: str) -> set[str]:
    return {str(one).strip().lower() for one in _all(document, name)}


def _numbers(document: Document, name: str) -> list[float]:
    return [one for one in _all(document, name) if isinstance(one, int | float)]
