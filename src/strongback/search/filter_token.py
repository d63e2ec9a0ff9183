"""The words and signs of a filter, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

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


class TokenKind(StrEnum):
    """Kind of a token."""

    SIGN = "sign"
    QUOTED = "quoted"
    WORD = "word"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """A word or sign of a filter."""

    kind: TokenKind
    text: str
    """Without quotation marks."""
    offset: int
    """Where it begins, in characters from 0."""

    @property
    def is_value(self) -> bool:
        """Whether it may stand for a value."""
        return self.kind in {TokenKind.QUOTED, TokenKind.WORD}

    @property
    def is_end(self) -> bool:
        """Whether the filter ends here."""
        return self.kind is TokenKind.END

    def is_word(self, word: str) -> bool:
        """Whether it is this word of the grammar, in any case."""
        return self.kind is TokenKind.WORD and self.text.lower() == word


def read_tokens(text: str) -> list[Token]:
    """Cut a filter into tokens, of which the last is its end.

    Raises:
        BadFilter: Something in it is neither word nor sign.
    """
    tokens: list[Token] = []
    offset = 0
    while match := _PATTERN.match(text, offset):
        kind = TokenKind(str(match.lastgroup))
        tokens.append(Token(kind, _plain(kind, match[kind.value]), match.start(kind.value)))
        offset = match.end()
    if rest := text[offset:].lstrip():
        raise BadFilter(_explain(rest[0]), text, len(text) - len(rest))
    return [*tokens, Token(TokenKind.END, "", len(text))]


def _plain(kind: TokenKind, text: str) -> str:
    if kind is TokenKind.QUOTED:
        text = _ESCAPED.sub(r"\1", text[1:-1])
    # What no encoding can say is in no document either.
    return text.encode("utf-8", "replace").decode()


def _explain(sign: str) -> str:
    if sign in "\"'":
        return "Filter, character {position}: the quotation mark here is never closed."
    return "Filter, character {position}: ! is followed by =, or left out."
