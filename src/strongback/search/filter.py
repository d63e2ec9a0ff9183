"""Filters: one grammar, read once into a tree that each engine translates.

    language = zh AND tag IN [async, sql] AND published_at > 2026-01-01
    (author = ada OR author = "Grace Hopper") AND NOT tag = draft
    likes 10 TO 20 AND summary EXISTS

Operators are `=`, `!=`, `<`, `<=`, `>`, `>=`, `IN`, `NOT IN`, `EXISTS`, `NOT EXISTS` and `TO`,
which includes both ends; they are joined by `AND`, `OR`, `NOT` and parentheses, where `AND` binds
more tightly than `OR`. A value that is not one plain word is quoted, by either kind of quotation
mark, with a backslash before one inside. Text is compared without regard to case; a datetime
without an offset is in UTC. What is absent differs from every value: `!=` and `NOT` find it.

Nothing of what a client sends reaches an engine but through this tree.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NoReturn

from strongback.schema import utc
from strongback.search.exceptions import BadFilter
from strongback.search.filter_token import Token, read_tokens
from strongback.search.index import Attribute, Index, Kind
from strongback.text import shorten

MAX_LENGTH = 2_000
"""Characters of a filter."""
MAX_DEPTH = 16
"""Parentheses and negations inside one another."""
MAX_CONDITIONS = 20
"""Conditions of a filter, a list of values being one: each looks at every document found."""
MAX_VALUES = 100
"""Values of a filter, those of its lists together."""
MAX_INTEGER = 2**63 - 1  # of tantivy; Meilisearch has the same
_SHOWN = 40

Value = str | int | float | bool | datetime
"""As the attribute's kind says; a datetime is aware and in UTC."""


class Operator(StrEnum):
    """Comparison of an attribute with one value."""

    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="

    @property
    def orders(self) -> bool:
        """Whether it needs values that are less or more."""
        return self not in {Operator.EQUAL, Operator.UNEQUAL}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`published_at > 2026-01-01`; of a list, whether any of its values is so.

    `!=` is the negation of `=`: no value of the list is that.
    """

    attribute: Attribute
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class Membership:
    """`tag IN [async, sql]`; its negation finds what has none of the values."""

    attribute: Attribute
    values: tuple[Value, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """`likes 10 TO 20`, both ends included."""

    attribute: Attribute
    low: Value
    high: Value


@dataclass(frozen=True, slots=True)
class Existence:
    """`summary EXISTS`: there is a value, and it is no empty list."""

    attribute: Attribute
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Not:
    """Everything that the operand does not find."""

    operand: Filter


@dataclass(frozen=True, slots=True)
class And:
    """Documents that all of two or more operands find."""

    operands: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Documents that any of two or more operands finds."""

    operands: tuple[Filter, ...]


Filter = Comparison | Membership | Range | Existence | Not | And | Or


def parse_filter(index: Index, text: str) -> Filter | None:
    """Read a filter for an index; None for an empty one.

    Raises:
        BadFilter: It cannot be read, asks for what the index has not, or is too long.
    """
    if len(text) > MAX_LENGTH:
        message = "Filter, character {position}: a filter has at most {limit} characters."
        raise BadFilter(message, text, MAX_LENGTH, limit=MAX_LENGTH)
    return _Parser(index, text).parse()


class _Parser:
    """Recursive descent: one method for each rule of the grammar."""

    def __init__(self, index: Index, text: str) -> None:
        self._index = index
        self._text = text
        self._tokens = read_tokens(text)
        self._next = 0
        self._depth = 0
        self._conditions = 0
        self._values_read = 0

    def parse(self) -> Filter | None:
        if self._token.kind == "end":
            return None
        found = self._disjunction()
        if self._token.kind != "end":
            self._fail("Filter, character {position}: AND, OR or the end is expected here.")
        return found

    # Rules

    def _disjunction(self) -> Filter:
        return self._joined("or", self._conjunction, Or)

    def _conjunction(self) -> Filter:
        return self._joined("and", self._negation, And)

    def _joined(self, word: str, rule: Callable[[], Filter], kind: type[And | Or]) -> Filter:
        operands = [rule()]
        while self._takes(word):
            operands.append(rule())
        return operands[0] if len(operands) == 1 else kind(tuple(operands))

    def _negation(self) -> Filter:
        # An attribute may be called `not`.
        if self._token.reads("not") and self._index.find(self._token.text) is None:
            return self._deeper(lambda: Not(self._negation()))
        return self._deeper(self._group) if self._token.reads("(") else self._condition()

    def _group(self) -> Filter:
        inner = self._disjunction()
        if not self._takes(")"):
            self._fail("Filter, character {position}: a closing parenthesis is missing here.")
        return inner

    def _condition(self) -> Filter:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            self._fail(
                "Filter, character {position}: a filter has at most {limit} conditions; ask for"
                " several values by IN [one, two].",
                limit=MAX_CONDITIONS,
            )
        attribute, token = self._attribute(), self._token
        if token.kind == "sign" and token.text in set(Operator):
            operator = Operator(token.text)
            if operator.orders:
                self._require_order(attribute)
            self._next += 1
            return Comparison(attribute, operator, self._value(attribute))
        negated = self._takes("not")
        if self._takes("in"):
            return Membership(attribute, self._values(attribute), negated)
        if self._takes("exists"):
            return Existence(attribute, negated)
        if negated or not (token.is_value and self._tokens[self._next + 1].reads("to")):
            self._fail(
                "Filter, character {position}: an operator is expected here, one of"
                " = != < <= > >= IN EXISTS TO."
            )
        self._require_order(attribute)
        low = self._value(attribute)
        self._next += 1
        return Range(attribute, low, self._value(attribute))

    def _values(self, attribute: Attribute) -> tuple[Value, ...]:
        if not self._takes("["):
            self._fail("Filter, character {position}: a list such as [one, two] is expected here.")
        values: list[Value] = []
        while not self._takes("]"):
            if values and not self._takes(","):
                self._fail("Filter, character {position}: a comma or ] is expected here.")
            values.append(self._value(attribute))
        return tuple(values)

    # Leaves

    def _attribute(self) -> Attribute:
        token = self._token
        if token.kind != "word":
            self._fail("Filter, character {position}: the name of an attribute is expected here.")
        found = self._index.find(token.text)
        if found is None or found not in self._index.filterable:
            names = ", ".join(attribute.label for attribute in self._index.filterable)
            self._fail(
                "Filter, character {position}: {name} cannot be asked for; choose from {names}.",
                name=_show(token.text),
                names=names,
            )
        self._next += 1
        return found

    def _value(self, attribute: Attribute) -> Value:
        token = self._token
        if not token.is_value:
            self._fail("Filter, character {position}: a value is expected here.")
        self._values_read += 1
        if self._values_read > MAX_VALUES:
            message = "Filter, character {position}: a filter asks for at most {limit} values."
            self._fail(message, limit=MAX_VALUES)
        read, complaint = _READERS[attribute.kind]
        try:
            value = read(token.text)
        except (ValueError, LookupError, OverflowError):
            self._fail(complaint, name=attribute.label, value=_show(token.text))
        self._next += 1
        return value

    def _require_order(self, attribute: Attribute) -> None:
        if not attribute.kind.is_ordered:
            message = "Filter, character {position}: {name} has no order; ask for it by = != or IN."
            self._fail(message, name=attribute.label)

    # Steps and limits

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _takes(self, text: str) -> bool:
        is_it = self._token.reads(text)
        self._next += is_it
        return is_it

    def _deeper(self, rule: Callable[[], Filter]) -> Filter:
        if self._depth == MAX_DEPTH:
            message = "Filter, character {position}: this is nested deeper than {limit} levels."
            self._fail(message, limit=MAX_DEPTH)
        self._next += 1
        self._depth += 1
        inner = rule()
        self._depth -= 1
        return inner

    def _fail(self, message: str, **params: object) -> NoReturn:
        raise BadFilter(message, self._text, self._token.offset, **params)


# Values


def _read_integer(text: str) -> int:
    value = int(_digits(text))
    if abs(value) > MAX_INTEGER:
        raise OverflowError(text)
    return value


def _read_number(text: str) -> float:
    value = float(_digits(text))
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _digits(text: str) -> str:
    """The text of a number, unless Python alone reads it as one."""
    if not text.isascii() or "_" in text or len(text) > _SHOWN:
        raise ValueError(text)
    return text


_READERS: dict[Kind, tuple[Callable[[str], Value], str]] = {
    Kind.TEXT: (str, ""),  # every text is one
    Kind.INTEGER: (
        _read_integer,
        "Filter, character {position}: {name} is an integer, and {value} is none.",
    ),
    Kind.NUMBER: (
        _read_number,
        "Filter, character {position}: {name} is a number, and {value} is none.",
    ),
    Kind.BOOLEAN: (
        lambda text: {"true": True, "false": False}[text.lower()],
        "Filter, character {position}: {name} is true or false, not {value}.",
    ),
    Kind.DATETIME: (
        lambda text: utc(datetime.fromisoformat(text)),
        (
            "Filter, character {position}: {name} is a date such as 2026-01-31 or"
            " 2026-01-31T09:30:00Z, not {value}."
        ),
    ),
}


def _show(text: str) -> str:
    return shorten("".join(letter if letter.isprintable() else " " for letter in text), _SHOWN)
