"""The forms of an English word that people take for the same when they search.

A guess by endings, which makes words that do not exist; the vocabulary tells which do.
"""

from __future__ import annotations

from collections.abc import Iterator

_SHORTEST = 3
"""Letters of what is left of a word without its ending."""
_VOWELS = frozenset("aeiou")
# Their plural has one letter more: boxes, classes, pushes.
_HISSING = ("s", "x", "z", "ch", "sh")


def forms(word: str) -> set[str]:
    """The word, its singular or plural, and its forms in -ing and -ed.

    >>> sorted(forms("handling") & {"handle", "handles", "handled", "handling", "hand"})
    ['handle', 'handled', 'handles', 'handling']
    """
    if len(word) < _SHORTEST or not (word.isascii() and word.isalpha()):
        return {word}
    return {word}.union(*map(_endings, _stems(word)))


def _stems(word: str) -> Iterator[str]:
    """The words that this may be a form of, itself included."""
    yield word
    if word.endswith("ies"):
        yield word[:-3] + "y"
    elif word.endswith("s") and not word.endswith("ss"):
        yield word[:-1]
        if word.endswith("es"):
            yield word[:-2]
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= _SHORTEST and _VOWELS.intersection(stem):
            yield stem
            yield stem + "e"
            if stem[-1] == stem[-2]:
                yield stem[:-1]


def _endings(stem: str) -> set[str]:
    if len(stem) < _SHORTEST:
        return set()
    if stem.endswith("e"):
        return {stem, stem + "s", stem[:-1] + "ing", stem + "d"}
    last = stem[-1]
    doubled = stem + last if last not in _VOWELS and stem[-2] in _VOWELS else stem
    made = {stem, stem + "s", stem + "ing", stem + "ed", doubled + "ing", doubled + "ed"}
    if last == "y" and stem[-2] not in _VOWELS:
        made |= {stem[:-1] + "ies", stem[:-1] + "ied"}
    if stem.endswith(_HISSING):
        made.add(stem + "es")
    return made
