"""The part `search`: what an application registers to search."""

from __future__ import annotations

from strongback.app import Strongback
from strongback.search.choice import build_engine
from strongback.search.cli import group
from strongback.search.source import Search

RESPONSES = 500
"""Responses to searches that one process keeps, in a storage `search` of their own: what people
type has no end, and would drive out of `local` what is read again."""


def register(app: Strongback) -> Search:
    """Search by the engine that the settings name; slices add their indexes to it."""
    search = Search(build_engine(app.settings))
    app.provide(search)
    app.register_local_storage("search", RESPONSES, share=1)
    app.optional_checks["search"] = search.engine.ping
    app.cli.add_command(group)
    return search
