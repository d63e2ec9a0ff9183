"""What a page makes of the HTML of an article: colours, contents, links that lead somewhere.

The HTML comes from `markdown.render`, whose sanitiser writes tags in one way alone.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from app.article.highlight import Highlighter
from strongback.text import plain_text, slugify

WORDS_A_MINUTE = 230
CHARACTERS_A_MINUTE = 400
"""Of Chinese, Japanese and Korean."""
MAX_CONTENTS = 60
"""Headings in the table of contents."""
_CODE = re.compile(r'<pre><code class="language-([^"]*)">(.*?)</code></pre>', re.DOTALL)
_FIRST_HEADING = re.compile(r"\s*<h1[^>]*>(.*?)</h1>\s*", re.DOTALL)
_HEADING = re.compile(r'<h([23]) id="([^"]*)">(.*?)</h\1>', re.DOTALL)
_EMPTY_HEADER = re.compile(r"<th( [^>]*)?>\s*</th>")
_LINK = re.compile(r'<a href="([^"]*)"([^>]*)>')
_IMAGE = re.compile(r"<img ([^>]*)>")
_SOURCE = re.compile(r'src="([^"]*)"')
_ALT = re.compile(r'alt="([^"]*)"')
_TAG = re.compile(r"<[^>]*>")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_MARKDOWN = (".md", ".markdown")


@dataclass(frozen=True, slots=True)
class Heading:
    """An entry of the table of contents."""

    level: int
    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class ReadableText:
    """The text of an article as a page shows it."""

    html: str
    minutes: int
    """Time that reading takes."""
    contents: list[Heading] = field(default_factory=list)
    image: str = ""
    """Address of the first image that everybody can load."""


def prepare(
    body: str, title: str, find: Callable[[str], str | None] = lambda _: None
) -> ReadableText:
    """Prepare the HTML of an article for a page, which shows its title itself.

    Args:
        body: Sanitised HTML.
        title: Title of the article.
        find: Returns the address of the article that a relative link means, if there is one.
    """
    first = _FIRST_HEADING.match(body)
    if first and _plain(first[1]) == " ".join(title.split()):
        body = body[first.end() :]
    text = plain_text(body)
    highlighter = Highlighter()
    body = _CODE.sub(lambda match: _coloured(match, highlighter), body)
    body = body.replace("<pre><code", '<pre tabindex="0"><code')
    body = _EMPTY_HEADER.sub(r"<td\1></td>", body)
    body = body.replace("<table>", '<div class="scroll" tabindex="0"><table>')
    body = body.replace("</table>", "</table></div>")
    body = _IMAGE.sub(_image, body)
    body = _LINK.sub(lambda match: _link(match, find), body)
    headings = [
        Heading(int(level), anchor, _plain(text)) for level, anchor, text in _HEADING.findall(body)
    ]
    sources = (match[1] for match in map(_SOURCE.search, _IMAGE.findall(body)) if match)
    return ReadableText(body, _minutes(text), headings[:MAX_CONTENTS], next(sources, ""))


def _plain(fragment: str) -> str:
    return " ".join(html.unescape(_TAG.sub("", fragment)).split())


def _minutes(text: str) -> int:
    wide = len(_CJK.findall(text))
    words = len(_CJK.sub(" ", text).split())
    return max(1, round(words / WORDS_A_MINUTE + wide / CHARACTERS_A_MINUTE))


def _coloured(match: re.Match[str], highlighter: Highlighter) -> str:
    code = highlighter.highlight(html.unescape(match[2]), html.unescape(match[1]))
    return f"<pre><code>{code}</code></pre>"


def _image(match: re.Match[str]) -> str:
    """An image that loads when it is reached; the words for it if its address leads nowhere."""
    source = _SOURCE.search(match[1])
    if source and source[1].startswith(("https:", "/")):
        return f'<img {match[1]} loading="lazy" decoding="async">'
    alt = _ALT.search(match[1])
    return f'<span class="image">{alt[1]}</span>' if alt and alt[1] else ""


# Links between the files that articles were imported from


def _link(match: re.Match[str], find: Callable[[str], str | None]) -> str:
    address = html.unescape(match[1])
    if not is_relative(address):
        return match[0]
    path, _, anchor = address.partition("#")
    if (found := find(path)) is None:
        return f"<a{match[2]}>"
    anchor = f"#user-content-{quote(anchor)}" if anchor else ""
    return f'<a href="{html.escape(found + anchor)}">'


def is_relative(address: str) -> bool:
    """Whether a link means a file beside the one that the article was imported from."""
    return bool(address) and not address.startswith(("#", "/")) and not urlsplit(address).scheme


def links_in(body: str) -> list[str]:
    """The paths of relative links."""
    addresses = (html.unescape(address) for address, _ in _LINK.findall(body))
    return [address.partition("#")[0] for address in addresses if is_relative(address)]


def slugs_for(path: str, slug: str, suffixes: Iterable[str]) -> list[str]:
    """The slugs that the file at a relative path may have, the likeliest first.

    Args:
        path: The path, such as `../guide/errors.md`.
        slug: Slug of the article that has the link: it begins with the folders of its own file.
        suffixes: What languages append to slugs.
    """
    name = unquote(path)
    for end in _MARKDOWN:
        name = name.removesuffix(end)
    if name == unquote(path):
        return []  # a folder, or a file that is no article
    parts = [
        slugify(part) for part in posixpath.normpath(name).split("/") if part not in {".", ".."}
    ]
    words = slug.split("-")
    starts = ["-".join(words[:count]) for count in range(len(words), -1, -1)]
    bases = ["-".join(filter(None, [start, *parts])) for start in starts]
    return [f"{base}{suffix}" for base in bases for suffix in suffixes]


def choose(path: str, slug: str, suffixes: Iterable[str], known: Collection[str]) -> str | None:
    """The first of these slugs that an article has."""
    return next((each for each in slugs_for(path, slug, suffixes) if each in known), None)
