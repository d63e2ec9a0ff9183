from __future__ import annotations

import random
import string
import time

import pytest
import tantivy

from strongback.search.tantivy.schema import TEXT
from strongback.search.tantivy.vocabulary import Vocabulary, distance


def fill(*texts: str, deleted: str | None = None) -> Vocabulary:
    """The vocabulary of an index of these texts, in memory."""
    schema = tantivy.SchemaBuilder().add_text_field(TEXT, tokenizer_name="whitespace").build()
    index = tantivy.Index(schema)
    writer = index.writer(15_000_000, 1)
    for text in texts:
        writer.add_document(tantivy.Document.from_dict({TEXT: [text]}, schema))
    writer.commit()
    if deleted:
        writer.delete_documents_by_term(TEXT, deleted)
        writer.commit()
    index.reload()
    return Vocabulary(index.searcher(), schema)


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
    assert distance("authentcat", "authentication", 2, is_prefix=True) == 1
    assert distance("authen", "authentication", 1, is_prefix=True) == 0


def test_the_words_meant_are_found_the_likeliest_first():
    vocabulary = fill("response", "response responses", "database")
    assert vocabulary.similar("respxnse") == ["response"]
    assert vocabulary.similar("responsex") == ["response", "responses"]


def test_a_number_behind_a_word_leaves_it_the_word():
    vocabulary = fill("python python3 python310 pythonic python3x pytest8")
    assert vocabulary.numbered("python") == {"python3", "python310"}
    assert vocabulary.numbered("http2") == set()


@pytest.mark.parametrize("word", ["tea", "c0ffee1", "数据库设计方案", "x" * 40])
def test_what_nobody_mistypes_has_none(word):
    assert fill("tean coffee1 数据库设计方式").similar(word) == []


def test_a_word_that_is_in_no_document_any_more_is_not_meant():
    vocabulary = fill("response first", "responsive second", deleted="first")
    assert vocabulary.similar("responsxe") == ["responsive"]


def test_one_typo_is_always_found_among_many_words(is_long):
    """And it stays fast: far below what measuring every word would take."""
    chance = random.Random(3)
    words = {
        "".join(chance.choices(string.ascii_lowercase, k=chance.randrange(5, 13)))
        for _ in range(100_000 if is_long else 20_000)
    }
    vocabulary = fill(*(" ".join(list(words)[i::100]) for i in range(100)))
    asked = chance.sample(sorted(words), 200)
    mistyped = [_with_typo(chance, word) for word in asked]
    started = time.process_time()
    found = [vocabulary.similar(word) for word in mistyped]
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
