"""A real Meilisearch, where the tests are given one.

There is none to install as a package, so the tests start none: `MEILI_URL` and `MEILI_MASTER_KEY`
name one, as the workflow does with its service container. Without them the engines' contract suite
has no such half, and the header of the test run says so.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from strongback.search.meilisearch import MeilisearchEngine

if TYPE_CHECKING:
    from meilisearch import Client

# Read at import: later on the tests see nothing of the developer's own environment.
URL = os.environ.get("MEILI_URL", "")
MASTER_KEY = os.environ.get("MEILI_MASTER_KEY", "")
HEADER = (
    f"search engines: tantivy, and the Meilisearch at {URL}"
    if URL
    else "search engines: tantivy alone, since MEILI_URL names no Meilisearch; the workflow has one"
)
_MANY = {"limit": 1_000}


@contextmanager
def real_engine(url: str = URL, master_key: str = MASTER_KEY) -> Iterator[MeilisearchEngine]:
    """An engine with indexes of its own, which are deleted in the end, and its keys too."""
    import meilisearch  # noqa: PLC0415  every test session imports this module, few use it

    client = meilisearch.Client(url, master_key or None, timeout=10)
    prefix = f"test_{secrets.token_hex(6)}_"
    try:
        yield MeilisearchEngine(url, master_key, prefix=prefix)
    finally:
        _clean(client, prefix)


def _clean(client: Client, prefix: str) -> None:
    found = client.get_raw_indexes(_MANY)
    names = [one["uid"] for one in found["results"]]  # type: ignore[call-overload]  # it is a dict
    for name in names:
        if name.startswith(prefix):
            client.wait_for_task(client.delete_index(name).task_uid, timeout_in_ms=30_000)
    if client.config.api_key:
        for key in client.get_keys(_MANY).results:
            if (key.name or "").startswith(prefix):
                client.delete_key(key.uid)
