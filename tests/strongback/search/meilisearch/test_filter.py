from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongback.search import parse_filter
from strongback.search.filter import Comparison, Membership, Operator
from strongback.search.meilisearch.filter import compile_filter
from tests.strongback.search.meilisearch.conftest import ARTICLE
from tests.support.meilisearch_filter import BadFilter, parse

NEW_YEAR = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)


@pytest.mark.parametrize(
    "typed, compiled",
    [
        ("language = zh", 'language = "zh"'),
        ("tag != draft", 'tags != "draft"'),
        ("likes >= 3 AND likes < 10", '(likes >= "3") AND (likes < "10")'),
        ("likes -5 TO 5", 'likes "-5" TO "5"'),
        ("featured = TRUE", 'featured = "true"'),
        ("published_at > 2026-01-01", f'published_at > "{NEW_YEAR}"'),
        ("tag IN [async, 'a, b']", 'tags IN ["async", "a, b"]'),
        ("tag NOT IN []", "tags NOT IN []"),
        ("language NOT EXISTS", "language NOT EXISTS"),
        ("tag EXISTS", "(tags EXISTS AND tags IS NOT EMPTY)"),
        ("tag NOT EXISTS", "NOT (tags EXISTS AND tags IS NOT EMPTY)"),
        ("NOT language EXISTS", "NOT (language EXISTS)"),
        (
            "tag = a OR tag = b AND NOT (likes = 1 OR likes = 2)",
            '(tags = "a") OR ((tags = "b") AND (NOT ((likes = "1") OR (likes = "2"))))',
        ),
    ],
)
def test_a_filter_is_written_in_meilisearchs_grammar(typed: str, compiled: str) -> None:
    node = parse_filter(ARTICLE, typed)
    assert node is not None
    assert compile_filter(node) == compiled
    parse(compiled)


@pytest.mark.parametrize(
    "value",
    [
        '"',
        "\\",
        '\\"',
        '\\\\"',
        "x\\",
        '" OR language = "en',
        "'] OR likes > 0 OR tags IN ['",
        "line\nbreak",
        "NULL",
        "_geoRadius(1, 2, 3)",
        "\x00",
        "",
    ],
)
def test_a_value_stays_a_value(value: str) -> None:
    _, attributes, values = parse(
        compile_filter(Comparison(ARTICLE["language"], Operator.EQUAL, value))
    )

    assert (attributes, values) == (["language"], [value])


def test_half_a_character_is_replaced() -> None:
    compiled = compile_filter(Comparison(ARTICLE["language"], Operator.EQUAL, "\ud800"))

    assert parse(compiled)[2] == ["?"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_no_text_escapes_from_its_quotes(values: list[str]) -> None:
    compiled = compile_filter(Membership(ARTICLE["tags"], tuple(values)))

    assert parse(compiled)[1:] == (["tags"], values)


@pytest.mark.parametrize(
    "text", ['a = "b', "a =", "a b", "a IN [b", "(a = b", "a = b AND", "AND = b"]
)
def test_the_grammar_refuses_what_meilisearch_would(text: str) -> None:
    with pytest.raises((BadFilter, ValueError)):
        parse(text)
