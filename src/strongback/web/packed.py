"""Pages as bytes: compressed once, and sent as they are.

    page = page_cache.get(key, lambda: pages.write("shop/shop.html", language, ...))
    return packed_response(page, language.locale)

A page is kept by a key of all that it shows: what changes has another key, so that nothing has to
be invalidated, and what the key is made of can be cached as data is.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import brotli
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header
from xxhash import xxh3_128_hexdigest

from strongback.cache import LOCAL_AND_REDIS, Manager
from strongback.cache.policy import Policy
from strongback.web.page import Pages, pages_of_app
from strongback.web.request import Response, current_request

TTL = timedelta(minutes=30)
FILLS = 20
"""New pages a second that each process adds to Redis: strangers choose what they ask for."""
GZIP_LEVEL = 6
BROTLI_QUALITY = 7
"""An eighth more bytes than by the best one, in a twentieth of the time: 1.2 ms for a long page."""
MAX_HEADER = 200
"""Characters of an `Accept-Encoding` header that is looked at."""
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class PackedPage:
    """A page in each encoding."""

    tag: str
    plain: bytes
    gzip: bytes
    br: bytes


def pack(text: str) -> PackedPage:
    """Compress a page."""
    plain = text.encode()
    return PackedPage(
        xxh3_128_hexdigest(plain),
        plain,
        gzip.compress(plain, GZIP_LEVEL, mtime=0),
        brotli.compress(plain, quality=BROTLI_QUALITY),
    )


class PageCache:
    """Keeps pages by what they show, of which the frame and the templates are always a part."""

    def __init__(self, cache: Manager, pages: Pages, prefix: str) -> None:
        self._cache = cache
        self._pages = pages
        policy = Policy.of(prefix, prefix=prefix, storages=LOCAL_AND_REDIS, ttl=TTL, fills=FILLS)
        self._plan = cache.declare(policy, PackedPage)

    def get(self, shown: bytes, write: Callable[[], str]) -> PackedPage:
        """Return the page that shows this, or what this stands for: kept, or written."""
        key = f"{self._plan.prefix}{xxh3_128_hexdigest(self._pages.edition + shown)}"
        page: PackedPage = self._cache.read_key(self._plan, key, lambda: pack(write()))
        return page


def packed_response(page: PackedPage, locale: str, *, by: str = "", kind: str = HTML) -> Response:
    """Respond with a page in the best encoding that the client accepts.

    Args:
        page: The page.
        locale: Its language.
        by: Request headers that it depends on, beside `Accept-Encoding`.
        kind: Its content type.
    """
    header = current_request().environ.get("HTTP_ACCEPT_ENCODING", "")
    encoding = _best(header) if len(header) <= MAX_HEADER else ""
    body: bytes = getattr(page, encoding or "plain")
    response = Response.of_data(body, kind)
    response.policy = pages_of_app().headers
    response.varies = f"Accept-Encoding, {by}" if by else "Accept-Encoding"
    response.common = [("Content-Language", locale)]
    # Each encoding is a representation with a tag of its own (RFC 9110, section 8.8.3.3).
    response.tag = page.tag
    if encoding:
        response.tag = f"{page.tag}-{encoding}"
        response.common = [*response.common, ("Content-Encoding", encoding)]
    return response


@lru_cache(maxsize=256)
def _best(header: str) -> str:
    """The smallest encoding that a client accepts; empty for none."""
    accepted = parse_accept_header(header, Accept)
    weights = {name: accepted.quality(name) for name in ("br", "gzip")}
    best = max(weights, key=weights.__getitem__)
    return best if weights[best] > 0 else ""
