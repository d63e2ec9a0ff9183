"""Tells HTML that costs more to parse than its length, before anything parses it.

HTML repairs what is not closed: an element is looked for among all that are open, and formatting
that is open is repeated in each paragraph that follows, so that 17 kB become 19 MB. Tags are cut
here as the standard cuts them (HTML, section 13.2.5) and only counted. An element counts as closed
where every parser agrees that it is.
"""

from __future__ import annotations

import re
from typing import Final

MAX_STEPS = 1_000_000
"""Elements that are open, added up over all tags."""
MAX_REPEATED = 1_000_000
"""Characters of formatting that is open, added up over all other tags."""

_SPACE = r"[\t\n\f\r ]*+"
_VALUE = r"""(?:"[^"]*+"|'[^']*+'|[^\t\n\f\r >"'][^\t\n\f\r >]*+|(?=>))"""
_ATTRIBUTE = rf"(?:=[^\t\n\f\r />=]*+|[^\t\n\f\r />=]++)(?:{_SPACE}={_SPACE}{_VALUE})?+"
_TOKEN = re.compile(
    rf"<(?P<slash>/?)(?P<name>[A-Za-z][^\t\n\f\r />]*+)(?:[\t\n\f\r /]++|{_ATTRIBUTE})*+>"
    r"|<!--(?:-?>|(?s:.*?)--!?>)"
    r"|<(?:!(?!--)|\?|/(?=[^A-Za-z]))[^>]*+>"
)
_OPENING = re.compile(r"<[A-Za-z/!?]")
_FORMATTING = frozenset(
    {
        "a",
        "b",
        "big",
        "code",
        "em",
        "font",
        "i",
        "nobr",
        "s",
        "small",
        "strike",
        "strong",
        "tt",
        "u",
    }
)
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source"}
    | {"track", "wbr"}
)
# Each ends where the next one begins, so that their end tags are often left out.
_CELLS, _SECTIONS = frozenset({"td", "th"}), frozenset({"tbody", "tfoot", "thead"})
_ENDED_BY: Final = {
    **dict.fromkeys(("dd", "dt"), frozenset({"dd", "dt"})),
    **dict.fromkeys(_CELLS, _CELLS),
    **dict.fromkeys(_SECTIONS, _CELLS | _SECTIONS | {"tr"}),
    **{name: frozenset({name}) for name in ("li", "option", "p")},
    "tr": _CELLS | {"tr"},
}
_RAW_END = {
    name: re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE)
    for name in ("iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp")
}
"""Elements that hold text alone, and what ends it."""
_STRANGE = frozenset(["frameset", "math", "noscript", "plaintext", "select", "svg", "template"])
"""Elements with rules of their own for what follows."""


def is_costly(html: str) -> bool:
    """Whether the work of parsing this may grow faster than its length."""
    tags = _Tags()
    start = html.find("<")
    while start >= 0 and not tags.are_costly:
        token = _TOKEN.match(html, start)
        if token is None:
            if _OPENING.match(html, start):
                break  # it has no end: all the rest is part of it
            start = html.find("<", start + 1)
            continue
        tags.add(token)
        start = html.find("<", tags.after(token))
    return tags.are_costly


class _Tags:
    """The tags so far."""

    def __init__(self) -> None:
        self._open: list[tuple[str, int]] = []
        self._formatting = 0
        self._steps = self._repeated = 0
        self._is_certain = True
        """Whether an end tag ends what it names: not after what is strange."""
        self._is_hidden = False

    @property
    def are_costly(self) -> bool:
        return self._is_hidden or self._steps > MAX_STEPS or self._repeated > MAX_REPEATED

    def add(self, token: re.Match[str]) -> None:
        # By other rules another tag may begin within this one.
        self._is_hidden = not self._is_certain and "<" in token[0][1:]
        if name := _name(token):
            self._steps += len(self._open)
            self._repeated += 0 if name in _FORMATTING else self._formatting
            if token["slash"]:
                self._close(name)
            elif name not in _VOID:
                self._push(name, len(token[0]) if name in _FORMATTING else 0)

    def after(self, token: re.Match[str]) -> int:
        """Where the next tag may begin."""
        is_text = self._is_certain and not token["slash"]
        if not is_text or (pattern := _RAW_END.get(_name(token))) is None:
            return token.end()
        end = pattern.search(token.string, token.end())
        if end is None:
            return len(token.string)
        # A script within a comment of a script does not end here.
        self._is_certain = "<!--" not in token.string[token.end() : end.start()]
        return end.start()

    def _push(self, name: str, formatting: int) -> None:
        self._is_certain = self._is_certain and name not in _STRANGE
        self._pop(_ENDED_BY.get(name, frozenset()))
        self._open.append((name, formatting))
        self._formatting += formatting

    def _close(self, name: str) -> None:
        if self._is_certain:
            self._pop(_ENDED_BY.keys() - {name})
            if self._open and self._open[-1][0] == name:
                self._formatting -= self._open.pop()[1]

    def _pop(self, names: frozenset[str] | set[str]) -> None:
        while self._open and self._open[-1][0] in names:
            self._open.pop()


def _name(token: re.Match[str]) -> str:
    return (token["name"] or "").lower()
