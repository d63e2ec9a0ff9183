"""Declares an index: its attributes and how they are searched, for every engine.

ARTICLE = Index(
    "article",
    key="id",
    attributes=(
        Attribute("id", Kind.INTEGER),
        Attribute("title", weight=10),
        Attribute("tags", weight=5, multi_valued=True, filterable=True, facet=True, alias="tag"),
        Attribute("body", weight=1, shown=False),
        Attribute("language", filterable=True, facet=True),
        Attribute("published_at", Kind.DATETIME, filterable=True, sortable=True),
    ),
    suggests="title",
    ranking=("-published_at",),
)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from strongback.search.exceptions import SearchMisuse

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
Key = int | str
"""Identifies a document."""
Document = Mapping[str, Any]
"""A document: values by attribute. A datetime is aware; what is None is absent."""


class Kind(StrEnum):
    """Type of an attribute's values."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATETIME = "datetime"

    @property
    def is_ordered(self) -> bool:
        """Whether a filter may ask for less and more; order of text differs by language."""
        return self in {Kind.INTEGER, Kind.NUMBER, Kind.DATETIME}


TYPES: dict[Kind, tuple[type, ...]] = {
    Kind.TEXT: (str,),
    Kind.INTEGER: (int,),
    Kind.NUMBER: (int, float),
    Kind.BOOLEAN: (bool,),
    Kind.DATETIME: (datetime,),
}
"""Python types of the values of a document."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of the documents."""

    name: str
    """As documents call it."""
    kind: Kind = Kind.TEXT
    """Type of its values."""
    weight: float = 0
    """Importance of a word found here; 0 if it is not searched. Text only."""
    multi_valued: bool = False
    """Whether it is a list. A filter asks whether any of the values fits."""
    filterable: bool = False
    """Whether filters may ask for it."""
    sortable: bool = False
    """Whether results may be sorted by it; not where it is a list."""
    facet: bool = False
    """Whether the documents of each value may be counted; includes being filterable."""
    shown: bool = True
    """Whether results carry it; a long text is searched and highlighted all the same."""
    alias: str | None = None
    """As filters and facets call it, such as `tag` for a list `tags`; they may use both."""

    @property
    def label(self) -> str:
        """As facets call it."""
        return self.alias or self.name


@dataclass(frozen=True, slots=True)
class Order:
    """By which attribute results are sorted."""

    attribute: str
    descending: bool = False

    @classmethod
    def parse(cls, text: str) -> Order:
        """Read `published_at`, or `-published_at` for the greatest first."""
        return cls(text.removeprefix("-"), text.startswith("-"))


@dataclass(frozen=True)
class Index:
    """A kind of document that is searched.

    Raises:
        SearchMisuse: The declaration contradicts itself.
    """

    name: str
    """Singular, lower case; the engine's own name for it may have a prefix."""
    key: str
    """The attribute that tells documents apart: integers or text."""
    attributes: tuple[Attribute, ...]
    """All attributes."""
    suggests: str | None = None
    """The attribute whose texts are suggested while somebody types, such as a title."""
    version: str | None = None
    """The attribute that changes whenever the document does; `flask search check` compares it."""
    ranking: tuple[str, ...] = ()
    """Orders that decide between equally good results, such as `-published_at`."""
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Words, and what is searched for as well where one is asked for. One way: declare both."""
    stop_words: frozenset[str] = frozenset()
    """Words that a query may contain without looking for them, in any language."""

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise SearchMisuse(f"index {self.name}: {problem}")

    def __getitem__(self, name: str) -> Attribute:
        """The attribute of this name.

        Raises:
            SearchMisuse: There is none.
        """
        if name not in self._by_name:
            raise SearchMisuse(f"index {self.name} has no attribute {name}")
        return self._by_name[name]

    def find(self, label: str) -> Attribute | None:
        """The attribute that a client means, by name or alias."""
        return self._aliases.get(label) or self._by_name.get(label)

    def show(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The part of a document that results show; an absent value is None."""
        return {a.name: document.get(a.name) for a in self.attributes if a.shown}

    @property
    def suggested(self) -> Attribute:
        """The attribute that is suggested.

        Raises:
            SearchMisuse: There is none.
        """
        if self.suggests is None:
            raise SearchMisuse(f"index {self.name} suggests nothing; declare an attribute for it")
        return self[self.suggests]

    @property
    def searchable(self) -> tuple[Attribute, ...]:
        """Attributes that are searched, heaviest first."""
        searched = (attribute for attribute in self.attributes if attribute.weight)
        return tuple(sorted(searched, key=lambda attribute: -attribute.weight))

    @property
    def filterable(self) -> tuple[Attribute, ...]:
        """Attributes that filters may ask for."""
        return tuple(a for a in self.attributes if a.filterable or a.facet)

    @property
    def sortable(self) -> tuple[Attribute, ...]:
        """Attributes that results may be sorted by."""
        return tuple(a for a in self.attributes if a.sortable)

    @property
    def facets(self) -> tuple[Attribute, ...]:
        """Attributes whose values are counted."""
        return tuple(a for a in self.attributes if a.facet)

    @property
    def tie_breakers(self) -> tuple[Order, ...]:
        """`ranking`, read."""
        return tuple(Order.parse(item) for item in self.ranking)

    @cached_property
    def _by_name(self) -> dict[str, Attribute]:
        return {attribute.name: attribute for attribute in self.attributes}

    @cached_property
    def _aliases(self) -> dict[str, Attribute]:
        return {a.alias: a for a in self.attributes if a.alias}

    def _problems(self) -> list[str]:
        names = [attribute.name for attribute in self.attributes]
        known = set(names)
        problems = [f"{n!r} is not a name" for n in (self.name, *names) if not NAME.fullmatch(n)]
        problems += [f"{name} is declared twice" for name in known if names.count(name) > 1]
        problems += [f"the alias {name} is taken" for name in self._aliases if name in known]
        used = [self.key, self.suggests, self.version, *(o.attribute for o in self.tie_breakers)]
        problems += [f"{name} is not an attribute" for name in used if name and name not in known]
        sortable = {attribute.name for attribute in self.sortable}
        ranked = {order.attribute for order in self.tie_breakers} & known
        problems += [
            f"ranking by {name} needs it to be sortable" for name in sorted(ranked - sortable)
        ]
        for each in self.attributes:
            if each.weight < 0:
                problems.append(f"{each.name}: a weight is not negative")
            if each.weight and each.kind is not Kind.TEXT:
                problems.append(f"{each.name}: only text has a weight")
            if each.multi_valued and each.sortable:
                problems.append(f"{each.name}: nothing is sorted by a list")
        if not any(attribute.weight for attribute in self.attributes):
            problems.append("no attribute has a weight, so nothing is searched")
        if self.suggests in known and not self[self.suggests].weight:
            problems.append(f"{self.suggests} is suggested and not searched; give it a weight")
        return problems
