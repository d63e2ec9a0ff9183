"""What Meilisearch's published API knows: routes, parameters, bodies, actions of keys.

Sources: the OpenAPI document of the documentation's repository (meilisearch/documentation,
`assets/open-api/meilisearch-openapi-mintlify.json`, 1.36 to 1.41), and for what it leaves open
the server's own declarations (meilisearch/meilisearch, `crates/meilisearch/src/routes`,
`crates/meilisearch/src/search/mod.rs`, `crates/meilisearch-types/src/{keys,locales,settings}.rs`).
They deny unknown fields and parameters everywhere, and so does this.

Only the routes that have to do with an application's index are here. A request to any other one
is refused, which is the point: whoever needs one adds it, with its source.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Problem = tuple[str, str]
"""Where a value is (`.typoTolerance.enabled`), and what is wrong there."""
Check = Callable[[Any, str], Iterator[Problem]]
"""Yields what is wrong with a value at a place."""

UID = re.compile(r"[A-Za-z0-9_-]{1,400}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NAMES = {str: "a string", bool: "a boolean", int: "a positive integer", float: "a number"}


def of(kind: type, *, least: float | None = None, most: float | None = None) -> Check:
    """A value of one JSON type; numbers are never booleans, integers never negative."""

    def check(value: Any, place: str) -> Iterator[Problem]:
        is_right = type(value) is kind or (kind is float and type(value) is int)
        low = 0 if kind is int and least is None else least
        if not is_right:
            yield place, f"expected {_NAMES[kind]}, but found `{value!r}`"
        elif (low is not None and value < low) or (most is not None and value > most):
            yield place, f"`{value!r}` is out of range"

    return check


def one_of(*values: str) -> Check:
    """One of a few words."""

    def check(value: Any, place: str) -> Iterator[Problem]:
        if value not in values:
            yield place, f"unknown value `{value!r}`, expected one of {', '.join(values)}"

    return check


def matching(pattern: re.Pattern[str]) -> Check:
    """A string of a form."""

    def check(value: Any, place: str) -> Iterator[Problem]:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            yield place, f"`{value!r}` does not have the form {pattern.pattern}"

    return check


def many(item: Check) -> Check:
    """An array."""

    def check(value: Any, place: str) -> Iterator[Problem]:
        if not isinstance(value, list):
            yield place, f"expected an array, but found `{value!r}`"
            return
        for number, one in enumerate(value):
            yield from item(one, f"{place}[{number}]")

    return check


def mapping(item: Check) -> Check:
    """An object whose keys are data."""

    def check(value: Any, place: str) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield place, f"expected an object, but found `{value!r}`"
            return
        for key, one in value.items():
            yield from item(one, f"{place}.{key}")

    return check


def record(fields: dict[str, Check], *required: str) -> Check:
    """An object with fields of fixed names; another name is refused."""

    def check(value: Any, place: str) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield place, f"expected an object, but found `{value!r}`"
            return
        for name in required:
            if name not in value:
                yield place, f"missing field `{name}`"
        for name, one in value.items():
            if name not in fields:
                yield place, f"unknown field `{name}`: expected one of {', '.join(fields)}"
            else:
                yield from fields[name](one, f"{place}.{name}")

    return check


def nullable(inner: Check) -> Check:
    """A value, or `null`: in settings, `null` resets."""

    def check(value: Any, place: str) -> Iterator[Problem]:
        if value is not None:
            yield from inner(value, place)

    return check


def either(*choices: Check) -> Check:
    """A value of one of several kinds; the last one's complaint is reported."""

    def check(value: Any, place: str) -> Iterator[Problem]:
        found = [list(choice(value, place)) for choice in choices]
        if all(found):
            yield from found[-1]

    return check


STRING, BOOLEAN, INTEGER = of(str), of(bool), of(int)
STRINGS = many(STRING)
FILTER = either(STRING, many(either(STRING, STRINGS)))
# ISO 639-1 and 639-3, the ones that an index of English and Chinese may want.
LOCALE = one_of("en", "eng", "zh", "zho", "cmn", "ja", "jpn", "ko", "kor", "de", "deu")
LOCALES_WRITTEN_BACK = {"en": "eng", "zh": "zho", "ja": "jpn", "ko": "kor", "de": "deu"}
RANKING_RULE = either(
    one_of("words", "typo", "proximity", "attribute", "attributeRank", "wordPosition", "sort",
           "exactness"),
    matching(re.compile(r"[\w.-]+:(asc|desc)")),
)  # fmt: skip
FILTERABLE = either(
    record(
        {
            "attributePatterns": STRINGS,
            "features": record(
                {
                    "facetSearch": BOOLEAN,
                    "filter": record({"equality": BOOLEAN, "comparison": BOOLEAN}),
                }
            ),
        },
        "attributePatterns",
    ),
    STRING,
)

SEARCH = record(
    {
        "q": nullable(STRING),
        "offset": INTEGER,
        "limit": INTEGER,
        "page": INTEGER,
        "hitsPerPage": INTEGER,
        "attributesToRetrieve": STRINGS,
        "attributesToCrop": STRINGS,
        "cropLength": INTEGER,
        "cropMarker": STRING,
        "attributesToHighlight": STRINGS,
        "highlightPreTag": STRING,
        "highlightPostTag": STRING,
        "showMatchesPosition": BOOLEAN,
        "filter": nullable(FILTER),
        "sort": STRINGS,
        "distinct": STRING,
        "facets": STRINGS,
        "matchingStrategy": one_of("last", "all", "frequency"),
        "attributesToSearchOn": STRINGS,
        "rankingScoreThreshold": of(float, least=0, most=1),
        "locales": many(LOCALE),
        "showRankingScore": BOOLEAN,
        "showRankingScoreDetails": BOOLEAN,
        "showPerformanceDetails": BOOLEAN,
    }
)

_TYPO_TOLERANCE = record(
    {
        "enabled": nullable(BOOLEAN),
        "minWordSizeForTypos": nullable(
            record(
                {
                    "oneTypo": nullable(of(int, most=255)),
                    "twoTypos": nullable(of(int, most=255)),
                }
            )
        ),
        "disableOnWords": nullable(STRINGS),
        "disableOnAttributes": nullable(STRINGS),
        "disableOnNumbers": nullable(BOOLEAN),
    }
)
_FACETING = record(
    {
        "maxValuesPerFacet": nullable(INTEGER),
        "sortFacetValuesBy": nullable(mapping(one_of("alpha", "count"))),
    }
)
SETTINGS = {
    "displayedAttributes": STRINGS,
    "searchableAttributes": STRINGS,
    "filterableAttributes": many(FILTERABLE),
    "sortableAttributes": STRINGS,
    "rankingRules": many(RANKING_RULE),
    "stopWords": STRINGS,
    "nonSeparatorTokens": STRINGS,
    "separatorTokens": STRINGS,
    "dictionary": STRINGS,
    "synonyms": mapping(STRINGS),
    "distinctAttribute": STRING,
    "proximityPrecision": one_of("byWord", "byAttribute"),
    "typoTolerance": _TYPO_TOLERANCE,
    "faceting": _FACETING,
    "pagination": record({"maxTotalHits": nullable(INTEGER)}),
    "searchCutoffMs": INTEGER,
    "localizedAttributes": many(
        record({"attributePatterns": STRINGS, "locales": many(LOCALE)}, "attributePatterns",
               "locales")
    ),
    "facetSearch": BOOLEAN,
    "prefixSearch": one_of("indexingTime", "disabled"),
}  # fmt: skip
DEFAULT_SETTINGS: dict[str, Any] = {
    "displayedAttributes": ["*"],
    "searchableAttributes": ["*"],
    "filterableAttributes": [],
    "sortableAttributes": [],
    "rankingRules": ["words", "typo", "proximity", "attributeRank", "sort", "wordPosition",
                     "exactness"],
    "stopWords": [],
    "nonSeparatorTokens": [],
    "separatorTokens": [],
    "dictionary": [],
    "synonyms": {},
    "distinctAttribute": None,
    "proximityPrecision": "byWord",
    "typoTolerance": {
        "enabled": True,
        "minWordSizeForTypos": {"oneTypo": 5, "twoTypos": 9},
        "disableOnWords": [],
        "disableOnAttributes": [],
        "disableOnNumbers": False,
    },
    "faceting": {"maxValuesPerFacet": 100, "sortFacetValuesBy": {"*": "alpha"}},
    "pagination": {"maxTotalHits": 1000},
    "embedders": {},
    "searchCutoffMs": None,
    "localizedAttributes": None,
    "facetSearch": True,
    "prefixSearch": "indexingTime",
}  # fmt: skip

ACTIONS = (
    "*", "search", "documents.*", "documents.add", "documents.get", "documents.delete",
    "indexes.*", "indexes.create", "indexes.get", "indexes.update", "indexes.delete",
    "indexes.swap", "indexes.compact", "tasks.*", "tasks.cancel", "tasks.delete", "tasks.get",
    "tasks.compact", "settings.*", "settings.get", "settings.update", "stats.*", "stats.get",
    "metrics.*", "metrics.get", "dumps.*", "dumps.create", "snapshots.*", "snapshots.create",
    "version", "keys.create", "keys.get", "keys.update", "keys.delete", "experimental.get",
    "experimental.update", "export", "network.get", "network.update", "chatCompletions",
    "chats.*", "*.get", "webhooks.*", "fields.post", "dynamicSearchRules.*",
)  # fmt: skip
KEY = record(
    {
        "uid": matching(UUID),
        "name": nullable(STRING),
        "description": nullable(STRING),
        "actions": many(one_of(*ACTIONS)),
        "indexes": many(matching(re.compile(r"[A-Za-z0-9_-]*\*?"))),
        "expiresAt": nullable(STRING),
    },
    "actions",
    "indexes",
    "expiresAt",
)
SWAP = many(
    record({"indexes": many(matching(UID)), "rename": BOOLEAN}, "indexes"),
)
FETCH = record(
    {
        "offset": INTEGER,
        "limit": INTEGER,
        "fields": nullable(STRINGS),
        "retrieveVectors": BOOLEAN,
        "ids": nullable(many(either(INTEGER, STRING))),
        "filter": nullable(FILTER),
        "sort": nullable(STRINGS),
    }
)
DOCUMENTS = either(mapping(lambda _value, _place: iter(())), many(mapping(lambda _v, _p: iter(()))))

TASK_FILTERS = (
    "uids", "batchUids", "canceledBy", "types", "statuses", "indexUids", "afterEnqueuedAt",
    "beforeEnqueuedAt", "afterStartedAt", "beforeStartedAt", "afterFinishedAt", "beforeFinishedAt",
)  # fmt: skip


@dataclass(frozen=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    """Braces name a part: `/indexes/{uid}`."""
    action: str | None
    """What a key must be allowed to do; none for what needs no key."""
    parameters: tuple[str, ...] = ()
    body: Check | None = None
    task: str | None = None
    """The type of the task that it enqueues, if it does."""
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path)
        object.__setattr__(self, "pattern", re.compile(pattern))


_PAGE = ("offset", "limit")
_NEW = ("primaryKey", "csvDelimiter", "customMetadata", "skipCreation")
_META = ("customMetadata",)
_INDEX = record({"uid": matching(UID), "primaryKey": nullable(STRING)}, "uid")
_DOCUMENTS = "/indexes/{uid}/documents"
_ADD, _DELETE = "documentAdditionOrUpdate", "documentDeletion"

ROUTES = (
    Route("GET", "/health", None),
    Route("GET", "/version", "version"),
    Route("GET", "/stats", "stats.get", ("showInternalDatabaseSizes", "sizeFormat")),
    Route("GET", "/keys", "keys.get", _PAGE),
    Route("POST", "/keys", "keys.create", body=KEY),
    Route("GET", "/keys/{key}", "keys.get"),
    Route("DELETE", "/keys/{key}", "keys.delete"),
    Route("GET", "/indexes", "indexes.get", _PAGE),
    Route("POST", "/indexes", "indexes.create", _META, body=_INDEX, task="indexCreation"),
    Route("GET", "/indexes/{uid}", "indexes.get"),
    Route("DELETE", "/indexes/{uid}", "indexes.delete", _META, task="indexDeletion"),
    Route("GET", "/indexes/{uid}/stats", "stats.get",
          ("showInternalDatabaseSizes", "sizeFormat")),
    Route("POST", "/indexes/{uid}/search", "search", body=SEARCH),
    Route("GET", "/indexes/{uid}/settings", "settings.get"),
    Route("PATCH", "/indexes/{uid}/settings", "settings.update", _META,
          body=record({name: nullable(check) for name, check in SETTINGS.items()}),
          task="settingsUpdate"),
    Route("POST", _DOCUMENTS, "documents.add", _NEW, body=DOCUMENTS, task=_ADD),
    Route("PUT", _DOCUMENTS, "documents.add", _NEW, body=DOCUMENTS, task=_ADD),
    Route("DELETE", _DOCUMENTS, "documents.delete", _META, task=_DELETE),
    Route("POST", _DOCUMENTS + "/fetch", "documents.get", body=FETCH),
    Route("POST", _DOCUMENTS + "/delete", "documents.delete", _META,
          body=record({"filter": FILTER}, "filter"), task=_DELETE),
    Route("POST", _DOCUMENTS + "/delete-batch", "documents.delete", _META,
          body=many(either(INTEGER, STRING)), task=_DELETE),
    Route("GET", _DOCUMENTS + "/{document}", "documents.get", ("fields", "retrieveVectors")),
    Route("DELETE", _DOCUMENTS + "/{document}", "documents.delete", _META, task=_DELETE),
    Route("POST", "/swap-indexes", "indexes.swap", body=SWAP, task="indexSwap"),
    Route("GET", "/tasks", "tasks.get", ("limit", "from", "reverse", *TASK_FILTERS)),
    Route("GET", "/tasks/{task}", "tasks.get"),
    Route("POST", "/tasks/cancel", "tasks.cancel", TASK_FILTERS, task="taskCancelation"),
)  # fmt: skip
"""Specific paths stand before those with a part that would take them in."""


def find(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the route of a request and the parts of its path."""
    for route in ROUTES:
        match = route.pattern.fullmatch(path)
        if match and route.method == method:
            return route, match.groupdict()
    return None
