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
    Kind.TEXT: FieldType.Text,
    Kind.INTEGER: FieldType.Integer,
    Kind.NUMBER: FieldType.Float,
    Kind.BOOLEAN: FieldType.Boolean,
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
            return _negated(found) if negated else found
        case Membership(attribute, values, negated):
            wanted = [encode_value(attribute, value) for value in values]
            found = Query.term_set_query(schema, value_field(attribute), wanted)
            return _negated(found) if negated else found
        case Range(attribute, low, high):
            return _between(schema, attribute, lower_bound=low, upper_bound=high)
        case Comparison(attribute, operator, value):
            return _compare(schema, attribute, operator, value)


def _negated(query: Query) -> Query:
    # Nothing is found by a negation alone.
    return Query.boolean_query([(Occur.Must, Query.all_query()), (Occur.MustNot, query)])


def _compare(schema: Schema, attribute: Attribute, operator: Operator, value: Value) -> Query:
    if not operator.orders:
        encoded = encode_value(attribute, value)
        equal = Query.term_query(schema, value_field(attribute), encoded)
        return equal if operator is Operator.EQUAL else _negated(equal)
    is_included = operator in {Operator.AT_MOST, Operator.AT_LEAST}
    if operator in {Operator.LESS, Operator.AT_MOST}:
        return _between(schema, attribute, upper_bound=value, include_upper=is_included)
    return _between(schema, attribute, lower_bound=value, include_lower=is_included)


def _between(
    schema: Schema,
    attribute: Attribute,
    lower_bound: Value | None = None,
    upper_bound: Value | None = None,
    **options: bool,
) -> Query:
    low, high = (
        None if bound is None else encode_value(attribute, bound)
        for bound in (lower_bound, upper_bound)
    )
    field = value_field(attribute)
    return Query.range_query(schema, field, _TYPES[attribute.kind], low, high, **options)
