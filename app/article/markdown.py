"""Markdown to HTML that is safe to put into a page, and what can be read off a text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from app.article.nesting import is_costly

# `## Title { #anchor }`: the attribute lists of Python-Markdown, common in documentation.
_ANCHOR = re.compile(r"\{\s*+#([\w-]++)\s*+\}")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
# The prefix keeps an author's ids from shadowing names that scripts of the page rely on.
_ID_PREFIX = "user-content-"


def _parser(*, html: bool) -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": html}).enable(["table", "strikethrough"])


_PARSER = _parser(html=True)
_PARSER_OF_TEXT = _parser(html=False)
_CLEANER = nh3.Cleaner(
    attributes=nh3.ALLOWED_ATTRIBUTES
    | {"code": {"class"}, "abbr": {"title"}}
    | {heading: {"id"} for heading in _HEADINGS},
    id_prefix=_ID_PREFIX,
    link_rel="noopener noreferrer nofollow",
    url_schemes={"http", "https", "mailto"},
)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A text with what it says of itself."""

    html: str
    """Sanitised HTML."""
    title: str
    """Text of the first heading; empty if there is none."""
    summary: str
    """Text of the first paragraph; empty if there is none."""


def render(body: str) -> Rendered:
    """Render CommonMark with tables and strikethrough; HTML in it is kept as far as it is safe.

    HTML whose elements are left open until it is costly to repair is shown as text.
    """
    tokens, html = _parse(_PARSER, body)
    if is_costly(html):
        tokens, html = _parse(_PARSER_OF_TEXT, body)
    return Rendered(
        _CLEANER.clean(html),
        _first_text(tokens, "heading_open"),
        _first_text(tokens, "paragraph_open"),
    )


def _parse(parser: MarkdownIt, body: str) -> tuple[list[Token], str]:
    tokens = parser.parse(body)
    _move_anchors(tokens)
    _move_links(tokens)
    return tokens, parser.renderer.render(tokens, parser.options, {})


def _move_anchors(tokens: list[Token]) -> None:
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open" or not inline.children:
            continue
        last = inline.children[-1]
        text, brace, anchor = last.content.rstrip().rpartition("{")
        if last.type == "text" and (match := _ANCHOR.fullmatch(brace + anchor)):
            last.content = text.rstrip()
            opening.attrSet("id", match[1])


def _move_links(tokens: list[Token]) -> None:
    """Let links within the page follow the ids, which the cleaner gives a prefix."""
    for token in tokens:
        for child in token.children or ():
            target = str(child.attrGet("href") or "") if child.type == "link_open" else ""
            if target.startswith("#"):
                child.attrSet("href", f"#{_ID_PREFIX}{target[1:]}")


def _first_text(tokens: list[Token], kind: str) -> str:
    for opening, inline in pairwise(tokens):
        if opening.type == kind and (text := _plain(inline)):
            return text
    return ""


def _plain(inline: Token) -> str:
    parts = (
        " " if child.type in {"softbreak", "hardbreak"} else child.content
        for child in inline.children or ()
        if child.type in {"text", "code_inline", "softbreak", "hardbreak"}
    )
    return " ".join("".join(parts).split())
