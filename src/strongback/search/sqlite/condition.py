"""Filters as SQL: names come from the declaration, every value is a parameter."""

from __future__ import annotations

from typing import Any

from strongback.search.filter import (
    And,
    Comparison,
    Existence,
    Filter,
    Membership,
    Not,
    Operator,
    Or,
    Range,
    Value,
)
from strongback.search.index import Attribute
from strongback.search.sqlite.generation import Generation, stored

Condition = tuple[str, list[Any]]
"""SQL that is 1 or 0, never null, and its parameters."""
_SIGNS = {
    Operator.EQUAL: "=",
    Operator.LESS: "<",
    Operator.AT_MOST: "<=",
    Operator.MORE: ">",
    Operator.AT_LEAST: ">=",
}


def compile_filter(  # noqa: PLR0911  one for each kind of condition
    generation: Generation, node: Filter
) -> Condition:
    """Translate a filter on the rows of a generation, called `r`."""
    match node:
        case And(operands) | Or(operands):
            word = " AND " if isinstance(node, And) else " OR "
            parts = [compile_filter(generation, operand) for operand in operands]
            return f"({word.join(sql for sql, _ in parts)})", [v for _, vs in parts for v in vs]
        case Not(operand):
            return _negated(compile_filter(generation, operand))
        case Existence(attribute, negated):
            found = _any(generation, attribute, "IS NOT NULL", [])
            return _negated(found) if negated else found
        case Membership(attribute, values, negated):
            marks = ", ".join("?" * len(values))
            found = _any(generation, attribute, f"IN ({marks})", _parameters(attribute, values))
            return _negated(found) if negated else found
        case Range(attribute, low, high):
            return _any(
                generation, attribute, "BETWEEN ? AND ?", _parameters(attribute, (low, high))
            )
        case Comparison(attribute, Operator.UNEQUAL, value):
            return _negated(_any(generation, attribute, "= ?", _parameters(attribute, (value,))))
        case Comparison(attribute, operator, value):
            test = f"{_SIGNS[operator]} ?"
            return _any(generation, attribute, test, _parameters(attribute, (value,)))


def _any(generation: Generation, attribute: Attribute, test: str, values: list[Any]) -> Condition:
    """Whether the value, or any of the list, passes the test."""
    if not attribute.many:
        return f"ifnull(r.f_{attribute.name} {test}, 0)", values
    return (
        f"EXISTS (SELECT 1 FROM {generation.value} v"
        f" WHERE v.attribute = ? AND v.id = r.id AND v.value {test})"
    ), [attribute.name, *values]


def _negated(condition: Condition) -> Condition:
    return f"NOT {condition[0]}", condition[1]


def _parameters(attribute: Attribute, values: tuple[Value, ...]) -> list[Any]:
    return [stored(attribute, value) for value in values]
