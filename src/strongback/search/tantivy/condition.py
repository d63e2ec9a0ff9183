"""Filters as tantivy's queries."""

from __future__ import annotations

from tantivy import FieldType, Occur, Query, Schema

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
from strongback.search.index import Attribute, Kind
from strongback.search.tantivy.schema import encode_value, value_field

_TYPES = {
    Kind.INTEGER: FieldType.Integer,
    Kind.NUMBER: FieldType.Float,
    Kind.DATETIME: FieldType.Integer,
}


def compile_filter(schema: Schema, node: Filter) -> Query:  # noqa: PLR0911  one for each condition
    """Translate a filter."""
    match node:
        case And(operands):
            return Query.boolean_query([(Occur.Must, compile_filter(schema, o)) for o in operands])
        case Or(operands):
            parts = [(Occur.Should, compile_filter(schema, o)) for o in operands]
            return Query.boolean_query(parts)
        case Not(operand):
            return _negated(compile_filter(schema, operand))
        case Existence(attribute, negated):
            found = Query.exists_query(value_field(attribute))
        case Membership(attribute, values, negated):
            wanted = [encode_value(attribute, value) for value in values]
            found = Query.term_set_query(schema, value_field(attribute), wanted)
        case Range(attribute, low, high):
            return _between(schema, attribute, low, high)
        case Comparison(attribute, Operator.LESS | Operator.AT_MOST as operator, value):
            is_included = operator is Operator.AT_MOST
            return _between(schema, attribute, high=value, include_upper=is_included)
        case Comparison(attribute, Operator.MORE | Operator.AT_LEAST as operator, value):
            is_included = operator is Operator.AT_LEAST
            return _between(schema, attribute, low=value, include_lower=is_included)
        case _:
            attribute, negated = node.attribute, node.operator is Operator.UNEQUAL
            wanted = encode_value(attribute, node.value)
            found = Query.term_query(schema, value_field(attribute), wanted)
    return _negated(found) if negated else found


def _negated(query: Query) -> Query:
    # Nothing is found by a negation alone.
    return Query.boolean_query([(Occur.Must, Query.all_query()), (Occur.MustNot, query)])


def _between(
    schema: Schema,
    attribute: Attribute,
    low: Value | None = None,
    high: Value | None = None,
    **options: bool,
) -> Query:
    lower, upper = (None if end is None else encode_value(attribute, end) for end in (low, high))
    field = value_field(attribute)
    return Query.range_query(schema, field, _TYPES[attribute.kind], lower, upper, **options)
