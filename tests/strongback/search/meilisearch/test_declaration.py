from __future__ import annotations

from dataclasses import replace

import pytest

from strongback.search import Attribute, Kind
from strongback.search.meilisearch.declaration import differences, settings_of
from strongback.search.meilisearch.document import fingerprint
from tests.strongback.search.meilisearch.conftest import ARTICLE
from tests.support.meilisearch_api import DEFAULT_SETTINGS, SETTINGS, nullable, record

WANTED = settings_of(ARTICLE)


def test_every_setting_is_one_of_the_published_api() -> None:
    check = record({name: nullable(one) for name, one in SETTINGS.items()})

    assert list(check(WANTED, "")) == []


def test_nothing_differs_from_itself() -> None:
    assert differences(WANTED, DEFAULT_SETTINGS | WANTED) == {}


def test_lists_without_an_order_may_come_back_in_another() -> None:
    found = WANTED | {"filterableAttributes": WANTED["filterableAttributes"][::-1]}

    assert differences(WANTED, found) == {}


def test_lists_with_an_order_may_not() -> None:
    found = WANTED | {"searchableAttributes": WANTED["searchableAttributes"][::-1]}

    assert differences(WANTED, found).keys() == {"searchableAttributes"}


def test_what_meilisearch_has_besides_is_no_difference() -> None:
    typos = {**WANTED["typoTolerance"], "disableOnNumbers": True}

    assert differences(WANTED, WANTED | {"typoTolerance": typos, "dictionary": ["x"]}) == {}


def test_a_value_within_a_setting_is_a_difference() -> None:
    typos = {"enabled": True, "minWordSizeForTypos": {"oneTypo": 4, "twoTypos": 9}}

    assert differences(WANTED, WANTED | {"typoTolerance": typos}).keys() == {"typoTolerance"}


def test_a_word_more_among_the_synonyms_is_a_difference() -> None:
    synonyms = {**WANTED["synonyms"], "py": ["python"]}

    assert differences(WANTED, WANTED | {"synonyms": synonyms}).keys() == {"synonyms"}


@pytest.mark.parametrize(
    "changed",
    [
        replace(ARTICLE, key="version"),
        replace(ARTICLE, attributes=(*ARTICLE.attributes, Attribute("summary"))),
        replace(
            ARTICLE, attributes=(*ARTICLE.attributes[:-1], Attribute("version", Kind.DATETIME))
        ),
    ],
)
def test_documents_of_another_form_have_another_fingerprint(changed) -> None:
    assert fingerprint(changed) != fingerprint(ARTICLE)


def test_settings_alone_change_no_document() -> None:
    changed = replace(ARTICLE, synonyms={}, stop_words=frozenset({"x"}), ranking=("likes",))

    assert fingerprint(changed) == fingerprint(ARTICLE)
