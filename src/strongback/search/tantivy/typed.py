"""Reads a query: the words that have to be found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from strongback.search.index import Index
from strongback.search.query import MAX_TEXT, MAX_WORDS
from strongback.search.tantivy.english import forms
from strongback.search.tantivy.vocabulary import Vocabulary
from strongback.search.tantivy.word import cut, cut_finely, is_run, split_query

COMMON = 1_000
"""Documents from which on a word is not looked for by its characters."""
_QUOTED = re.compile(r'"([^"]*)"')

Sequence = tuple[str, ...]
"""Words that follow one another."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word that somebody looks for, and everything that counts as it."""

    text: str
    forms: frozenset[str] = frozenset()
    """Words, itself included."""
    phrases: frozenset[Sequence] = frozenset()
    parts: Sequence = ()
    """Words that count as it together."""
    is_begun: bool = False
    """Whether the rest of it may be yet to come."""
    is_phrase: bool = False
    """Whether it stood in quotation marks, and nothing else counts as it."""


def read_words(index: Index, vocabulary: Vocabulary, text: str) -> list[Word]:
    """Read a query: what has to be found, without the stop words."""
    text = text[:MAX_TEXT]
    words: list[Word] = []
    rest = 0
    for match in _QUOTED.finditer(text):
        words += _read(index, vocabulary, text[rest : match.start()])
        if phrase := flatten(split_query(match[1])):
            words.append(Word(match[1], phrases=frozenset({phrase}), is_phrase=True))
        rest = match.end()
    words += _read(index, vocabulary, text[rest:])
    important = [word for word in words if word.text not in index.stop_words] or words
    distinct = list({word.text: word for word in important}.values())[:MAX_WORDS]
    is_open = distinct and distinct[-1] is words[-1] and not (text[-1] == '"' or text[-1].isspace())
    if is_open and not (distinct[-1].is_phrase or is_run(distinct[-1].text)):
        distinct[-1] = replace(distinct[-1], is_begun=True)
    return distinct


def flatten(pieces: Iterable[str]) -> Sequence:
    """Words and runs as they follow one another in the index: each character is a word."""
    return tuple(word for piece in pieces for word in (piece if is_run(piece) else [piece]))


def widen(vocabulary: Vocabulary, word: Word) -> Word:
    """Let what is similar count as well: words with a typo, and parts of long Chinese words."""
    if word.is_phrase:
        return word
    if is_run(word.text):
        parts = tuple(_joined(cut_finely(word.text)))
        return replace(word, parts=parts) if len(parts) > 1 else word
    similar = vocabulary.similar(word.text, is_prefix=word.is_begun)
    # As any other word: whoever means `provider` by `provdier` finds `providers` too.
    kin = vocabulary.known(form for one in similar for form in forms(one))
    return replace(word, forms=word.forms | kin | set(similar))


def _read(index: Index, vocabulary: Vocabulary, text: str) -> Iterator[Word]:
    for piece in split_query(text):
        if is_run(piece):
            for part in _joined(cut(piece), index.stop_words):
                yield _with_synonyms(index, _of_run(vocabulary, part))
        else:
            known = vocabulary.known(forms(piece)) | vocabulary.numbered(piece) | {piece}
            yield _with_synonyms(index, Word(piece, known))


def _of_run(vocabulary: Vocabulary, run: str) -> Word:
    # Its characters as well: the dictionary cuts one word in two ways in two sentences. That takes
    # its time where many documents have them, and adds little.
    is_rare = len(run) > 1 and vocabulary.count(run) < COMMON
    return Word(run, frozenset({run}), frozenset({tuple(run)} if is_rare else ()))


def _joined(pieces: Iterable[str], stop_words: frozenset[str] = frozenset()) -> list[str]:
    """The pieces, lone characters next to one another together: they may be an unknown word."""
    joined: list[str] = []
    for is_lone, group in groupby(pieces, lambda p: len(p) == 1 and p not in stop_words):
        some = list(group)
        joined += ["".join(some)] if is_lone else some
    return joined


def _with_synonyms(index: Index, word: Word) -> Word:
    for synonym in index.synonyms.get(word.text, ()):
        pieces = split_query(synonym)
        if len(pieces) == 1:
            word = replace(word, forms=word.forms | {pieces[0]})
        if len(sequence := flatten(pieces)) > 1:
            word = replace(word, phrases=word.phrases | {sequence})
    return word
