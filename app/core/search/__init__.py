"""Search: indexes declared once, and two engines that serve them alike."""

from app.core.search.choice import build_engine
from app.core.search.engine import Engine
from app.core.search.exceptions import BadFilter, BadSort, SearchMisuse, SearchUnavailable
from app.core.search.filter import Filter, parse_filter
from app.core.search.index import Attribute, Document, Index, Key, Kind, Order
from app.core.search.query import Hit, Query, Result, Status, Suggestion, parse_sort
from app.core.search.source import Difference, Need, Search, Source

__all__ = [
    "Attribute",
    "BadFilter",
    "BadSort",
    "Difference",
    "Document",
    "Engine",
    "Filter",
    "Hit",
    "Index",
    "Key",
    "Kind",
    "Need",
    "Order",
    "Query",
    "Result",
    "Search",
    "SearchMisuse",
    "SearchUnavailable",
    "Source",
    "Status",
    "Suggestion",
    "build_engine",
    "parse_filter",
    "parse_sort",
]
