"""Filters as tantivy's queries."""

from __future__ import annotations

from tantivy import FieldType, Occur, Query, Schema

from strongback.search import filter as nodes
from strongback.search.index import Attribute, Kind
from strongback.search.tantivy.schema import encode_value, value_field

_TYPES = {
    Kind.INTEGER: FieldType.Integer,
    Kind.NUMBER: FieldType.Float,
    Kind.DATETIME: FieldType.Integer,
}


def compile_filter(schema: Schema, node: nodes.Filter) -> Query:
    """Translate a filter."""
    match node:
        case nodes.And(operands) | nodes.Or(operands):
            occur = Occur.Must if isinstance(node, nodes.And) else Occur.Should
            return Query.boolean_query([(occur, compile_filter(schema, o)) for o in operands])
        case nodes.Not(operand):
            return _negated(compile_filter(schema, operand))
        case nodes.Existence(attribute, negated):
            found = Query.exists_query(value_field(attribute))
        case nodes.Membership(attribute, values, negated):
            wanted = [encode_value(attribute, value) for value in values]
            found = Query.term_set_query(schema, value_field(attribute), wanted)
        case nodes.Range(attribute, low, high):
            return _between(schema, attribute, low, high)
        case nodes.Comparison(attribute, operator, value) if operator in {"<", "<="}:
            return _between(schema, attribute, high=value, include_upper=operator == "<=")
        case nodes.Comparison(attribute, operator, value) if operator in {">", ">="}:
            return _between(schema, attribute, low=value, include_lower=operator == ">=")
        case _:
            attribute, negated = node.attribute, node.operator == "!="
            wanted = encode_value(attribute, node.value)
            found = Query.term_query(schema, value_field(attribute), wanted)
    return _negated(found) if negated else found


def _negated(query: Query) -> Query:
    # Nothing is found by a negation alone.
    return Query.boolean_query([(Occur.Must, Query.all_query()), (Occur.MustNot, query)])


def _between(
    schema: Schema,
    attribute: Attribute,
    low: nodes.Value | None = None,
    high: nodes.Value | None = None,
    **options: bool,
) -> Query:
    lower, upper = (None if end is None else encode_value(attribute, end) for end in (low, high))
    field = value_field(attribute)
    return Query.range_query(schema, field, _TYPES[attribute.kind], lower, upper, **options)
