"""What somebody typed, as groups of words, and as an expression of FTS5.

No text of a user's is part of an expression but as words, which are letters, digits and marks, each
in quotation marks.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from strongback.search.query import MAX_TEXT, MAX_WORDS
from strongback.search.sqlite.english import forms
from strongback.search.sqlite.generation import Generation
from strongback.search.sqlite.vocabulary import allowed_typos
from strongback.search.sqlite.word import fold, is_run, split_query

FEW = 6
"""Words up to which documents are looked for that lack one of them."""
_QUOTED = re.compile(r'"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Group:
    """One word that somebody looks for, and everything that counts as it."""

    word: str
    forms: frozenset[str] = frozenset()
    """Words."""
    beginnings: frozenset[str] = frozenset()
    """What words may begin with."""
    runs: frozenset[str] = frozenset()
    """Sequences of characters of a script without spaces."""
    phrases: frozenset[tuple[str, ...]] = frozenset()
    """Words that follow one another."""
    pieces: tuple[str, ...] = ()
    """Words that count as it together."""


def read_groups(db: sqlite3.Connection, generation: Generation, text: str) -> list[Group]:
    """Read a query: what has to be found, word by word, without the stop words."""
    text = text[:MAX_TEXT]
    groups: list[Group] = []
    rest = 0
    for match in _QUOTED.finditer(text):
        groups += _words(db, generation, text[rest : match.start()])
        if phrase := tuple(split_query(match[1])):
            groups.append(_phrase(phrase))
        rest = match.end()
    groups += _words(db, generation, text[rest:])
    important = [g for g in groups if g.word not in generation.index.stop_words] or groups
    distinct = list({group.word: group for group in important}.values())[:MAX_WORDS]
    if distinct and _is_unfinished(text) and distinct[-1] is groups[-1]:
        distinct[-1] = _begun(distinct[-1])
    return distinct


def widen(db: sqlite3.Connection, generation: Generation, group: Group) -> Group:
    """Let what is similar count as well: words with a typo, and parts of long Chinese words."""
    if group.phrases:
        return group
    vocabulary = generation.vocabulary
    if is_run(group.word):
        pieces = _joined(vocabulary.cut(db, group.word, finest=True))
        return replace(group, pieces=tuple(pieces)) if len(pieces) > 1 else group
    begun = bool(group.beginnings)
    similar = vocabulary.similar(db, group.word)
    if begun:
        similar += vocabulary.similar(db, group.word, is_prefix=True)
    # As any other word: whoever means `provider` by `provdier` finds `providers` too.
    kin = vocabulary.known(db, {form for word in similar for form in forms(word)})
    return replace(group, forms=group.forms | kin | set(similar))


def has_typo(db: sqlite3.Connection, generation: Generation, group: Group) -> bool:
    """Whether nothing is found by this word as it stands, so that it must mean another."""
    if group.phrases or is_run(group.word) or not allowed_typos(group.word):
        return False
    query = f"SELECT 1 FROM {generation.text} WHERE {generation.text} MATCH ? LIMIT 1"
    return db.execute(query, (express(generation, group),)).fetchone() is None


# Reading


def _is_unfinished(text: str) -> bool:
    return bool(text) and not text[-1].isspace() and text[-1] != '"'


def _words(db: sqlite3.Connection, generation: Generation, text: str) -> Iterator[Group]:
    for word in split_query(text):
        if is_run(word):
            for piece in _joined(generation.vocabulary.cut(db, word), generation.index.stop_words):
                yield _with_synonyms(generation, _run(piece))
        else:
            vocabulary = generation.vocabulary
            known = vocabulary.known(db, forms(word)) | vocabulary.numbered(db, word) | {word}
            yield _with_synonyms(generation, Group(word, frozenset(known)))


def _joined(pieces: Iterable[str], stop_words: frozenset[str] = frozenset()) -> list[str]:
    """The pieces, lone characters next to one another together: they may be an unknown word."""
    joined: list[str] = []
    is_open = False
    for piece in pieces:
        is_lone = len(piece) == 1 and piece not in stop_words
        if is_lone and is_open:
            joined[-1] += piece
        else:
            joined.append(piece)
        is_open = is_lone
    return joined


def _run(piece: str) -> Group:
    # Its characters as well: the dictionary cuts one word in two ways in two sentences.
    return Group(piece, frozenset({piece}), runs=frozenset({piece}))


def _phrase(words: tuple[str, ...]) -> Group:
    if all(map(is_run, words)):
        return Group("".join(words), runs=frozenset({"".join(words)}))
    pieces = tuple(word for word in words if is_run(word))
    spaced = tuple(word for word in words if not is_run(word))
    return Group(" ".join(words), phrases=frozenset({spaced}), pieces=pieces)


def _begun(group: Group) -> Group:
    if group.phrases:
        return group
    return replace(group, beginnings=frozenset({group.word}))


def _with_synonyms(generation: Generation, group: Group) -> Group:
    for synonym in generation.index.synonyms.get(group.word, ()):
        words = tuple(split_query(fold(synonym)))
        if len(words) > 1:
            group = replace(group, phrases=group.phrases | {words})
        elif words and is_run(words[0]):
            group = replace(group, runs=group.runs | {words[0]}, forms=group.forms | {words[0]})
        elif words:
            group = replace(group, forms=group.forms | {words[0]})
    return group


# Writing


def express(generation: Generation, group: Group) -> str:
    """Everything that counts as the group's word, as an expression."""
    parts = [_quote(form) for form in sorted(group.forms)]
    for beginning in sorted(group.beginnings):
        # One letter begins half of all words: only the most important attribute is worth it.
        column = "" if len(beginning) > 1 else f"a_{generation.index.searchable[0].name} : "
        parts.append(f"{column}{_quote(beginning)} *")
    parts += [_quote(" ".join(run)) for run in sorted(group.runs) if len(run) > 1]
    parts += [_quote(" ".join(phrase)) for phrase in sorted(group.phrases)]
    if group.pieces:
        together = " AND ".join(_quote(" ".join(piece)) for piece in group.pieces)
        if group.phrases:  # the pieces belong to the phrase
            return f"({' OR '.join(parts)}) AND {together}"
        parts.append(f"({together})")
    return f"({' OR '.join(parts)})"


def _quote(words: str) -> str:
    return f'"{words}"'


def express_all(generation: Generation, groups: Sequence[Group]) -> str:
    """All of the groups."""
    return " AND ".join(f"({express(generation, group)})" for group in groups)


def express_titled(generation: Generation, groups: Sequence[Group]) -> str | None:
    """All of the groups but one, in the most important attribute; None for a word or two."""
    if not 2 < len(groups) <= FEW:  # noqa: PLR2004  one of two words is too little
        return None
    heaviest = generation.index.searchable[0].name
    return f"a_{heaviest} : ({express_most(generation, groups)})"


def express_most(generation: Generation, groups: Sequence[Group]) -> str:
    """All of the groups but any one."""
    choices = ([*groups[:i], *groups[i + 1 :]] for i in range(len(groups)))
    return " OR ".join(f"({express_all(generation, choice)})" for choice in choices)


def express_any(generation: Generation, groups: Sequence[Group]) -> str:
    """Any of the groups."""
    return " OR ".join(f"({express(generation, group)})" for group in groups)
