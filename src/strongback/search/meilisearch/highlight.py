"""Results as Meilisearch marks them, made into HTML.

Meilisearch escapes nothing. So it marks what it found with two signs that no text contains, the
text is escaped, and the signs become tags.
"""

from __future__ import annotations

import html
import secrets
from typing import Any

from strongback.search.query import MARK

_NONCE = secrets.token_hex(6)
# From a private area of Unicode, with a number that nobody outside can know.
OPEN, CLOSE = f"\ue000{_NONCE}", f"\ue001{_NONCE}"
ELLIPSIS = "…"


def to_html(formatted: Any) -> str:  # noqa: ANN401  a text or a list, at any depth of JSON
    """Return text, or a list of texts joined by commas, as HTML with the words found marked."""
    text = ", ".join(map(str, formatted)) if isinstance(formatted, list) else str(formatted)
    escaped = html.escape(text)
    return escaped.replace(OPEN, MARK[0]).replace(CLOSE, MARK[1])
