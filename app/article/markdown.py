"""Markdown to HTML that is safe to put into a page, and what can be read off a text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererProtocol
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from mdit_py_plugins.footnote import footnote_plugin

from app.article.cjk import cjk_friendly
from app.article.nesting import is_costly
from strongback.text import is_of_word

# `## Title { #anchor }`: the attribute lists of Python-Markdown, common in documentation.
_ANCHOR = re.compile(r"\{\s*+#([\w-]++)\s*+\}")
# The prefix keeps an author's ids from shadowing names that scripts of the page rely on.
_ID_PREFIX = "user-content-"
_NAMES = frozenset({"id", "name"})
# What the parser of footnotes writes; other classes would let a text look like the page's own.
_CLASSES = {
    "a": "footnote-backref",
    "hr": "footnotes-sep",
    "li": "footnote-item",
    "ol": "footnotes-list",
    "section": "footnotes",
    "sup": "footnote-ref",
}


def _parser(*, html: bool) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": html}).enable(["table", "strikethrough"])
    parser.use(footnote_plugin, inline=False).use(cjk_friendly)
    # As GitHub writes them: a number without brackets, and ids with a hyphen.
    parser.add_render_rule("footnote_caption", _footnote_number)
    parser.add_render_rule("footnote_anchor_name", _footnote_name)
    return parser


def _footnote_number(
    _renderer: RendererProtocol,
    tokens: Sequence[Token],
    index: int,
    _options: OptionsDict,
    _env: EnvType,
) -> str:
    return str(tokens[index].meta["id"] + 1)


def _footnote_name(
    renderer: RendererProtocol,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: EnvType,
) -> str:
    return f"-{_footnote_number(renderer, tokens, index, options, env)}"


def _filter(tag: str, attribute: str, value: str) -> str | None:
    """Give ids and the links that lead to them one prefix, whoever wrote them, and once."""
    if attribute == "class" and tag in _CLASSES:
        return value if value == _CLASSES[tag] else None
    if attribute == "name" and tag != "a":
        return None  # a form's, whose elements scripts reach by it
    if attribute in _NAMES and not value.startswith(_ID_PREFIX):
        return _ID_PREFIX + value
    if attribute == "href" and value.startswith("#") and not value.startswith(f"#{_ID_PREFIX}"):
        return f"#{_ID_PREFIX}{value[1:]}" if len(value) > 1 else value
    return value


_PARSER = _parser(html=True)
_PARSER_OF_TEXT = _parser(html=False)
_CLEANER = nh3.Cleaner(
    tags=nh3.ALLOWED_TAGS | {"section"},
    attributes=nh3.ALLOWED_ATTRIBUTES
    | {
        "*": {"id", "lang", "name", "title"},
        "code": {"class"},
    }
    | {tag: nh3.ALLOWED_ATTRIBUTES.get(tag, set()) | {"class"} for tag in _CLASSES},
    attribute_filter=_filter,
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
    """Render CommonMark with tables, strikethrough and footnotes; safe HTML in it is kept.

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
    env: EnvType = {}
    tokens = parser.parse(body, env)
    _name_headings(tokens)
    _align_cells(tokens)
    return tokens, parser.renderer.render(tokens, parser.options, env)


def _name_headings(tokens: list[Token]) -> None:
    """Give every heading an id: its anchor, or its text as GitHub spells it, numbered if taken.

    The plugin for this looks for a free number from one, for each heading anew.
    """
    headings = [pair for pair in pairwise(tokens) if pair[0].type == "heading_open"]
    for opening, inline in headings:
        _take_anchor(opening, inline)
    taken = {str(opening.attrGet("id")) for opening, _ in headings if opening.attrGet("id")}
    counts: dict[str, int] = {}
    for opening, inline in headings:
        if opening.attrGet("id") is None and (name := _heading_name(_plain(inline))):
            opening.attrSet("id", _free(name, taken, counts))


def _take_anchor(opening: Token, inline: Token) -> None:
    if not inline.children or inline.children[-1].type != "text":
        return
    last = inline.children[-1]
    text, brace, anchor = last.content.rstrip().rpartition("{")
    if match := _ANCHOR.fullmatch(brace + anchor):
        last.content = text.rstrip()
        opening.attrSet("id", match[1])


def _heading_name(text: str) -> str:
    kept = (letter for letter in text.lower() if letter in " -_" or is_of_word(letter))
    return "".join(kept).replace(" ", "-")


def _free(name: str, taken: set[str], counts: dict[str, int]) -> str:
    free = name
    while free in taken:
        counts[name] = counts.get(name, 0) + 1
        free = f"{name}-{counts[name]}"
    taken.add(free)
    return free


def _align_cells(tokens: list[Token]) -> None:
    """Align columns by the attribute (GFM, section 4.10): styles are not let in."""
    for token in tokens:
        if token.type in {"th_open", "td_open"} and (style := token.attrGet("style")):
            token.attrs = {"align": str(style).removeprefix("text-align:")}


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
