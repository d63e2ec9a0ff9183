from __future__ import annotations

import random
import sqlite3
import string
import time
from collections.abc import Iterator

import pytest

from strongback.search.sqlite.vocabulary import Vocabulary, distance, prefix_distance


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE texts USING fts5(text, tokenize = 'ascii')")
    yield connection
    connection.close()


def fill(db: sqlite3.Connection, *texts: str) -> Vocabulary:
    vocabulary = Vocabulary(1)
    vocabulary.create(db, "texts")
    db.executemany("INSERT INTO texts VALUES (?)", ((text,) for text in texts))
    vocabulary.add(db, texts)
    return vocabulary


@pytest.mark.parametrize(
    "one, other, expected",
    [
        ("tea", "tea", 0),
        ("framewrk", "framework", 1),
        ("datababse", "database", 1),
        ("databxse", "database", 1),
        ("dtaabase", "database", 1),
        ("dtaabsae", "database", 2),
        ("", "ab", 2),
        ("database", "tea", 3),
    ],
)
def test_distance_counts_letters_up_to_one_more_than_the_limit(one, other, expected):
    assert distance(one, other, 2) == expected
    assert distance(other, one, 2) == expected


def test_distance_of_a_beginning_leaves_out_the_rest():
    assert prefix_distance("authentcat", "authentication", 2) == 1
    assert prefix_distance("authen", "authentication", 1) == 0


def test_the_words_meant_are_found_the_likeliest_first(db):
    vocabulary = fill(db, "response", "response responses", "database")
    assert vocabulary.similar(db, "respxnse") == ["response"]
    assert vocabulary.similar(db, "responsex") == ["response", "responses"]


def test_a_number_behind_a_word_leaves_it_the_word(db):
    vocabulary = fill(db, "python python3 python310 pythonic python3x pytest8")
    assert vocabulary.numbered(db, "python") == {"python3", "python310"}
    assert vocabulary.numbered(db, "http2") == set()


@pytest.mark.parametrize("word", ["tea", "c0ffee1", "数据库设计方案", "x" * 40])
def test_what_nobody_mistypes_has_none(db, word):
    assert fill(db, "tean coffee1 数据库设计方式").similar(db, word) == []


def test_a_word_that_is_in_no_document_any_more_is_not_meant(db):
    vocabulary = fill(db, "response")
    db.execute("DELETE FROM texts")
    assert vocabulary.similar(db, "respxnse") == []


@pytest.mark.parametrize(
    "run, expected",
    [
        ("数据库设计", ["数据库", "设计"]),
        ("未知数据", ["未", "知", "数据"]),
        ("数", ["数"]),
    ],
)
def test_a_run_is_cut_into_as_few_known_words_as_possible(db, run, expected):
    assert fill(db, "数据 数据库 设计 库设").cut(db, run) == expected


def test_one_typo_is_always_found_among_100_000_words(db):
    """And it stays fast: far below what scanning the words would take."""
    chance = random.Random(3)
    words = {
        "".join(chance.choices(string.ascii_lowercase, k=chance.randrange(5, 13)))
        for _ in range(100_000)
    }
    vocabulary = fill(db, *(" ".join(list(words)[i::100]) for i in range(100)))
    asked = chance.sample(sorted(words), 200)
    mistyped = [_with_typo(chance, word) for word in asked]
    started = time.process_time()
    found = [vocabulary.similar(db, word) for word in mistyped]
    taken = (time.process_time() - started) / len(asked)
    assert all(
        word in similar or typed in words
        for word, typed, similar in zip(asked, mistyped, found, strict=True)
    )
    assert taken < 0.02  # seconds for one word; measured: 0.001


def _with_typo(chance: random.Random, word: str) -> str:
    i = chance.randrange(1, len(word) - 1)
    letter = chance.choice(string.ascii_lowercase)
    return chance.choice(
        [
            word[:i] + word[i + 1 :],
            word[:i] + letter + word[i:],
            word[:i] + letter + word[i + 1 :],
            word[:i] + word[i + 1] + word[i] + word[i + 2 :],
        ]
    )
