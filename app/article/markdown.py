"""Markdown to HTML that is safe to put into a page, and what can be read off a text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

# `## Title { #anchor }`: the attribute lists of Python-Markdown, common in documentation.
_ANCHOR = re.compile(r"\s*\{\s*#([\w-]+)\s*\}\s*$")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
# The prefix keeps an author's ids from shadowing names that scripts of the page rely on.
_ID_PREFIX = "user-content-"

_PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
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
    """Render CommonMark with tables and strikethrough; HTML in it is kept as far as it is safe."""
    tokens = _PARSER.parse(body)
    _move_anchors(tokens)
    _move_links(tokens)
    html = _CLEANER.clean(_PARSER.renderer.render(tokens, _PARSER.options, {}))
    return Rendered(
        html, _first_text(tokens, "heading_open"), _first_text(tokens, "paragraph_open")
    )


def _move_anchors(tokens: list[Token]) -> None:
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open" or not inline.children:
            continue
        last = inline.children[-1]
        if last.type == "text" and (match := _ANCHOR.search(last.content)):
            last.content = last.content[: match.start()]
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
