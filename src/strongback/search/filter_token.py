"""The words and signs of a filter, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from strongback.search.exceptions import BadFilter

_PATTERN = re.compile(
    r"""\s*(?:
        (?P<sign>!=|<=|>=|[=<>()\[\],])
      | (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<word>[^\s=!<>()\[\],"']+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Token:
    """A word or sign of a filter."""

    kind: str
    """`sign`, `quoted`, `word` or `end`."""
    text: str
    """Without quotation marks."""
    offset: int
    """Where it begins, in characters from 0."""

    @property
    def is_value(self) -> bool:
        """Whether it may stand for a value."""
        return self.kind in {"quoted", "word"}

    def reads(self, text: str) -> bool:
        """Whether it is this sign of the grammar, or this word of it, in any case."""
        return self.kind != "quoted" and self.text.lower() == text


def read_tokens(text: str) -> list[Token]:
    """Cut a filter into tokens, of which the last is its end, or raise BadFilter."""
    tokens: list[Token] = []
    offset = 0
    while match := _PATTERN.match(text, offset):
        kind, offset = str(match.lastgroup), match.end()
        found = _ESCAPED.sub(r"\1", match[kind][1:-1]) if kind == "quoted" else match[kind]
        # What no encoding can say is in no document either.
        found = found.encode("utf-8", "replace").decode()
        tokens.append(Token(kind, found, match.start(kind)))
    if rest := text[offset:].lstrip():
        message = "Filter, character {position}: the quotation mark here is never closed."
        if rest[0] == "!":
            message = "Filter, character {position}: ! is followed by =, or left out."
        raise BadFilter(message, text, len(text) - len(rest))
    return [*tokens, Token("end", "", len(text))]
