"""What is cached: articles of some 600 bytes as JSON, loaded at once or slowly, and counted."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

SLOW = 0.1
"""Seconds of a slow load."""
ENTRIES = 10_000
"""Articles that are cached before hits are measured."""
HOT = 1_000
"""Those of them that are asked for where memory is measured; with more, what is measured are the
caches of the CPU."""
TTL = 3600


def article(number: int) -> dict[str, Any]:
    """Every field is derived from the number, so that a wrong answer is seen."""
    return {
        "id": number,
        "slug": f"article-{number}",
        "title": f"How the {number}th thing was made to work",
        "summary": "What was tried, what was measured, and what was kept in the end. " * 3,
        "author": {"id": number % 97, "name": f"Author {number % 97}"},
        "tags": ["python", "flask", "cache", f"tag-{number % 31}"],
        "created_at": "2026-03-14T09:26:53Z",
        "updated_at": "2026-03-15T09:26:53Z",
        "comment_count": number % 13,
        "like_count": number % 1009,
        "is_published": True,
        "language": "en",
        "version": number % 7 + 1,
    }


class Source:
    """Loads, and counts how often it was asked."""

    def __init__(self) -> None:
        self.loads = 0
        self._lock = threading.Lock()

    def slow(self, number: int) -> dict[str, Any]:
        with self._lock:
            self.loads += 1
        time.sleep(SLOW)
        return article(number)

    async def slow_async(self, number: int) -> dict[str, Any]:
        self.loads += 1
        await asyncio.sleep(SLOW)
        return article(number)

    def slow_text(self, key: str) -> str:
        """The trace's value is its key, as in cacheme's own benchmark."""
        with self._lock:
            self.loads += 1
        time.sleep(SLOW)
        return key

    async def slow_text_async(self, key: str) -> str:
        self.loads += 1
        await asyncio.sleep(SLOW)
        return key
