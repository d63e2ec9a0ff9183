"""Filters as Meilisearch writes them.

Its grammar is in meilisearch/meilisearch, `crates/filter-parser`. Every value is quoted, so that
none of it is read as grammar: inside quotes a backslash begins an escape, and nothing else means
anything.
"""

from __future__ import annotations

from strongback.search import filter as nodes
from strongback.search.meilisearch.document import encode_value


def compile_filter(node: nodes.Filter) -> str:  # noqa: PLR0911  one for each condition
    """Write a filter for Meilisearch."""
    match node:
        case nodes.And(operands):
            return " AND ".join(f"({compile_filter(operand)})" for operand in operands)
        case nodes.Or(operands):
            return " OR ".join(f"({compile_filter(operand)})" for operand in operands)
        case nodes.Not(operand):
            return f"NOT ({compile_filter(operand)})"
        case nodes.Comparison(attribute, operator, value):
            return f"{attribute.name} {operator} {_quote(value)}"
        case nodes.Range(attribute, low, high):
            return f"{attribute.name} {_quote(low)} TO {_quote(high)}"
        case nodes.Membership(attribute, values, negated):
            listed = ", ".join(map(_quote, values))
            return f"{attribute.name} {'NOT ' * negated}IN [{listed}]"
        case nodes.Existence(attribute, negated) if attribute.multi_valued:
            # For Meilisearch, an empty list exists.
            name = attribute.name
            return f"{'NOT ' * negated}({name} EXISTS AND {name} IS NOT EMPTY)"
        case nodes.Existence(attribute, negated):
            return f"{attribute.name} {'NOT ' * negated}EXISTS"


def _quote(value: nodes.Value) -> str:
    encoded = encode_value(value)
    text = str(encoded).lower() if isinstance(encoded, bool) else str(encoded)
    # Half of a character, which no document has, is no JSON for Meilisearch.
    text = text.encode("utf-8", "replace").decode()
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
