"""Search: indexes declared once, and two engines that serve them alike."""

from strongback.search.engine import Engine
from strongback.search.exceptions import BadFilter, BadSort, SearchMisuse, SearchUnavailable
from strongback.search.filter import Filter, parse_filter
from strongback.search.index import Attribute, Document, Index, Key, Kind, Order
from strongback.search.part import build_engine, register
from strongback.search.query import Hit, Query, Result, Stamp, Status, Suggestion, parse_sort
from strongback.search.source import Difference, Need, Search, Source

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
    "Stamp",
    "Status",
    "Suggestion",
    "build_engine",
    "parse_filter",
    "parse_sort",
    "register",
]
