"""Filters as Meilisearch writes them.

Its grammar is in meilisearch/meilisearch, `crates/filter-parser`. Every value is quoted, so that
none of it is read as grammar: inside quotes a backslash begins an escape, and nothing else means
anything.
"""

from __future__ import annotations

from typing import assert_never

from strongback.search.filter import (
    And,
    Comparison,
    Existence,
    Filter,
    Membership,
    Not,
    Or,
    Range,
    Value,
)
from strongback.search.meilisearch.document import encode_value


def compile_filter(node: Filter) -> str:
    """Write a filter for Meilisearch."""
    match node:
        case And(operands):
            return " AND ".join(f"({compile_filter(operand)})" for operand in operands)
        case Or(operands):
            return " OR ".join(f"({compile_filter(operand)})" for operand in operands)
        case Not(operand):
            return f"NOT ({compile_filter(operand)})"
        case Existence(attribute, negated) if attribute.multi_valued:
            # For Meilisearch, an empty list exists.
            name = attribute.name
            return f"{_not(negated)}({name} EXISTS AND {name} IS NOT EMPTY)"
        case _:
            return f"{node.attribute.name} {_condition(node)}"


def _condition(node: Comparison | Range | Membership | Existence) -> str:
    match node:
        case Comparison(_, operator, value):
            return f"{operator} {_quote(value)}"
        case Range(_, low, high):
            return f"{_quote(low)} TO {_quote(high)}"
        case Membership(_, values, negated):
            return f"{_not(negated)}IN [{', '.join(map(_quote, values))}]"
        case Existence(_, negated):
            return f"{_not(negated)}EXISTS"
        case _:
            assert_never(node)


def _not(negated: bool) -> str:  # noqa: FBT001  what a node says of itself
    return "NOT " if negated else ""


def _quote(value: Value) -> str:
    encoded = encode_value(value)
    text = str(encoded).lower() if isinstance(encoded, bool) else str(encoded)
    # Half of a character, which no document has, is no JSON for Meilisearch.
    text = text.encode("utf-8", "replace").decode()
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
