"""Emphasis beside Chinese, Japanese and Korean punctuation.

CommonMark asks for a space where punctuation and a letter meet at `**`, which these languages do
not write: `**注意：**后文` would keep its stars. Here their characters count as letters on the one
side and as punctuation on the other, as the CJK-friendly amendment has it
(https://github.com/tats-u/markdown-cjk-friendly). Without such a character nothing changes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from markdown_it import MarkdownIt
from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.rules_inline import StateInline, emphasis, strikethrough

_Rule = Callable[[StateInline, bool], bool]
_SELECTORS = frozenset({*map(chr, range(0xFE00, 0xFE10)), *map(chr, range(0xE0100, 0xE01F0))})
"""Choose between two forms of the character before them."""


def cjk_friendly(parser: MarkdownIt) -> None:
    """Let a parser find emphasis beside CJK characters."""
    parser.inline.ruler.at("emphasis", _friendly(emphasis.tokenize))
    parser.inline.ruler.at("strikethrough", _friendly(strikethrough.tokenize))


def _friendly(rule: _Rule) -> _Rule:
    def tokenize(state: StateInline, silent: bool) -> bool:  # noqa: FBT001  a rule's signature
        start, count = state.pos, len(state.delimiters)
        if not rule(state, silent):
            return False
        before, after = _neighbours(state, start)
        if _is_cjk(before) or _is_cjk(after):
            opens, closes = _flanks(before, after, is_underscore=state.src[start] == "_")
            for delimiter in state.delimiters[count:]:
                delimiter.open, delimiter.close = opens, closes
        return True

    return tokenize


def _neighbours(state: StateInline, start: int) -> tuple[str, str]:
    """The characters on both sides of the marks; the ends of a text count as spaces."""
    before = start - 1
    if before > 0 and state.src[before] in _SELECTORS:
        before -= 1
    return (
        state.src[before] if before >= 0 else " ",
        state.src[state.pos] if state.pos < state.posMax else " ",
    )


def _flanks(before: str, after: str, *, is_underscore: bool) -> tuple[bool, bool]:
    """Whether marks between these two may open emphasis, and whether they may close it."""
    left = not _is_space(after) and (not _is_foreign_mark(after) or _is_edge(before))
    right = not _is_space(before) and (not _is_foreign_mark(before) or _is_edge(after))
    if is_underscore:  # it does not begin or end within a word
        return left and (not right or _is_mark(before)), right and (not left or _is_mark(after))
    return left, right


def _is_edge(character: str) -> bool:
    return _is_space(character) or _is_mark(character) or _is_cjk(character)


def _is_foreign_mark(character: str) -> bool:
    return _is_mark(character) and not _is_cjk(character)


def _is_mark(character: str) -> bool:
    return isMdAsciiPunct(ord(character)) or isPunctChar(character)


def _is_space(character: str) -> bool:
    return isWhiteSpace(ord(character))


def _is_cjk(character: str) -> bool:
    # Emoji are wide as well, and they are symbols.
    is_wide = unicodedata.east_asian_width(character) in {"F", "H", "W"}
    return is_wide and unicodedata.category(character) != "So"
