from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongback.search.meilisearch.document import (
    CHARACTERS,
    MAX_BATCH,
    MAX_BATCH_BYTES,
    batches,
    decode,
    encode,
    primary_key,
)
from tests.strongback.search.meilisearch.conftest import ARTICLE, article
from tests.support.meilisearch_api import UID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 9 * 10**15).map(lambda n: EPOCH + n * timedelta(microseconds=1))


def through_json(value: dict[str, Any]) -> dict[str, Any]:
    """As Meilisearch, which reads numbers as floats to compare them, could give it back."""
    found: dict[str, Any] = json.loads(json.dumps(value))
    return {name: int(float(one)) if type(one) is int else one for name, one in found.items()}


@given(MOMENTS)
def test_moments_survive_the_way_there_and_back(moment: datetime) -> None:
    stored = through_json(encode(ARTICLE, article(1, published_at=moment)))

    assert decode(ARTICLE, stored)["published_at"] == moment


def test_a_moment_of_another_zone_is_the_same_moment() -> None:
    moment = datetime(2026, 5, 4, 3, 2, 1, tzinfo=timezone(timedelta(hours=8)))
    stored = encode(ARTICLE, article(1, published_at=moment))

    assert decode(ARTICLE, stored)["published_at"] == moment


def test_the_chinese_of_what_is_searched_is_kept_by_the_character_too() -> None:
    texts = {"title": "FastAPI 教程, v2", "tags": ["数据库", "sql"], "language": "中"}
    stored = encode(ARTICLE, article(1, **texts))

    assert stored[CHARACTERS] == "教 程 数 据 库"
    assert CHARACTERS not in encode(ARTICLE, article(1))


def test_what_is_not_shown_does_not_come_back() -> None:
    assert "body" not in decode(ARTICLE, encode(ARTICLE, article(1)))


@pytest.mark.parametrize("key", [1, -5, 2**63 - 1, "slug-with_both", "über", "a b", "", "x" * 600])
def test_every_key_has_a_name_that_meilisearch_takes(key: int | str) -> None:
    assert UID.fullmatch(primary_key(key))


def test_no_two_keys_share_a_name() -> None:
    hashed = primary_key("über")
    keys = ["1", "a", "über", "Über", hashed, f"{hashed} "]

    assert len({primary_key(key) for key in keys}) == len(keys)


def test_batches_hold_everything_once_and_in_order() -> None:
    documents = [{"n": number} for number in range(2 * MAX_BATCH + 1)]
    sent = list(batches(documents))

    assert [len(one.splitlines()) for one in sent] == [MAX_BATCH, MAX_BATCH, 1]
    assert [json.loads(line) for one in sent for line in one.splitlines()] == documents


def test_a_document_larger_than_a_batch_goes_alone() -> None:
    documents: list[dict[str, Any]] = [{"n": 1}, {"text": "x" * MAX_BATCH_BYTES}, {"n": 2}]

    assert [len(one.splitlines()) for one in batches(documents)] == [1, 1, 1]


def test_a_line_break_in_a_text_breaks_no_line() -> None:
    (sent,) = batches([{"text": "one\ntwo\u2028three"}, {"text": "\r\n"}])

    assert [json.loads(line)["text"] for line in sent.split(b"\n")] == [
        "one\ntwo\u2028three",
        "\r\n",
    ]
