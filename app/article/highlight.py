"""Colours of code: Pygments' tokens as spans with short classes, within a budget.

Lexers are regular expressions of many authors, and the code is anybody's: languages are chosen from
a list, long blocks stay plain, and so does what is left when the time of a text is spent.
"""

from __future__ import annotations

import html
import time
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import (
    Comment,
    Generic,
    Keyword,
    Literal,
    Name,
    Number,
    String,
)

MAX_BLOCK = 20_000
"""Characters of a block that gets colours."""
MAX_SECONDS = 0.25
"""Time for all blocks of a text; looked at after each token."""
LEXERS = {
    **{name: name for name in ("bash", "c", "cpp", "css", "diff", "go", "html", "http", "ini")},
    **{name: name for name in ("java", "javascript", "json", "kotlin", "lua", "make", "nginx")},
    **{name: name for name in ("php", "python", "ruby", "rust", "sql", "swift", "toml")},
    **{name: name for name in ("typescript", "xml", "yaml")},
    "c++": "cpp",
    "console": "console",
    "dockerfile": "docker",
    "env": "bash",
    "golang": "go",
    "js": "javascript",
    "jsonc": "json",
    "makefile": "make",
    "py": "python",
    "python3": "python",
    "rs": "rust",
    "sh": "bash",
    "shell": "bash",
    "ts": "typescript",
    "yml": "yaml",
    "zsh": "bash",
}
"""Names of languages in Markdown, and Pygments' names of them."""
CLASSES = (
    (Comment.Preproc, "k"),
    (Comment, "c"),
    (Keyword, "k"),
    (Name.Tag, "k"),
    (Name.Builtin.Pseudo, ""),
    (Name.Builtin, "b"),
    (Name.Class, "f"),
    (Name.Function, "f"),
    (Name.Decorator, "d"),
    (Name.Attribute, "f"),
    (String.Doc, "c"),
    (String, "s"),
    (Number, "n"),
    (Literal, "n"),
    (Generic.Deleted, "gd"),
    (Generic.Inserted, "gi"),
    (Generic.Prompt, "c"),
    (Generic.Output, "c"),
    (Generic.Subheading, "b"),
)
"""Classes of tokens; the first that fits. The style sheet has as many colours."""


class Highlighter:
    """Colours the blocks of one text."""

    def __init__(self, seconds: float = MAX_SECONDS) -> None:
        self._left = seconds

    def highlight(self, code: str, language: str) -> str:
        """The code as HTML, with colours if the language is known and the budget allows."""
        lexer = self._lexer(code, language)
        return html.escape(code, quote=False) if lexer is None else self._colour(code, lexer)

    def _lexer(self, code: str, language: str) -> Lexer | None:
        name = LEXERS.get(language.lower())
        if name is None or len(code) > MAX_BLOCK or self._left <= 0:
            return None
        # Nothing is taken off or added: what is copied is what was written.
        return get_lexer_by_name(name, stripnl=False, ensurenl=False)

    def _colour(self, code: str, lexer: Lexer) -> str:
        parts: list[str] = []
        for name, tokens in groupby(self._tokens(code, lexer), key=lambda token: token[0]):
            text = html.escape("".join(value for _, value in tokens), quote=False)
            parts.append(f'<span class="{name}">{text}</span>' if name and text.strip() else text)
        return "".join(parts)

    def _tokens(self, code: str, lexer: Lexer) -> Iterator[tuple[str, str]]:
        """Class and text of each token; the rest as one without a class when the time is spent."""
        start, length = time.perf_counter(), 0
        for kind, value in lexer.get_tokens(code):
            yield _class_of(kind), value
            length += len(value)
            if time.perf_counter() - start > self._left:
                yield "", code[length:]
                break
        self._left -= time.perf_counter() - start


def _class_of(kind: Any) -> str:  # noqa: ANN401  Pygments' type has no public name
    return next((name for group, name in CLASSES if kind in group), "")
