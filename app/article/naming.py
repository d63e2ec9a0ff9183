"""What the path of a file says: its slug, its language, and in some places its date.

guide/logging.md                    guide-logging
guide/logging.zh.md                 guide-logging, zh
zh/guide/logging.md                 guide-logging, zh
post/index.md                       post: a bundle of Hugo, or a folder's front page
_posts/2015-07-05-old-post.md       old-post, 2015-07-05: a post of Jekyll
source/_drafts/idea.md              idea, a draft
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import PurePath

from strongback.text import slugify

# What a folder or an inner suffix must be called to be taken for a language, perhaps
# with a region, as in `pt-BR`. Other names of two letters, such as `go` and `ui`, are just names.
_ISO_639_1 = """
aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv
dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie
ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv
mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm
rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts
tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""
_LANGUAGES = frozenset(_ISO_639_1.split())
# A region in lower case is common for these alone; `my-go` is a name and no Burmese.
_REGION = re.compile(r"(?:-(?:[A-Z]{2}|br|cn|gb|hk|mx|pt|tw|us))?")
POSTS, DRAFTS = "_posts", "_drafts"
"""Folders of Jekyll and Hexo, which are no part of a post's address."""
_BUNDLES = ("index", "_index")
_DATED = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})-(?=.*\w)")


@dataclass(frozen=True, slots=True)
class Named:
    """What a path says of a document."""

    words: tuple[str, ...]
    """The parts of its slug."""
    full_words: tuple[str, ...]
    """The same where another document has that slug already: the date and `index` are kept."""
    language: str | None
    date: date | None
    is_draft: bool


def read_path(path: PurePath) -> Named:
    """Read a path below the folder that is imported."""
    parts, language = _split_language([known_folder(part) for part in path.with_suffix("").parts])
    is_draft = DRAFTS in parts[:-1]
    for folder in (POSTS, DRAFTS):
        if folder in parts[:-1]:
            parts, inner = _split_language(parts[parts.index(folder) + 1 :])
            language = language or inner
    words = parts[:-1] if len(parts) > 1 and parts[-1] in _BUNDLES else parts
    written = _date_of(words[-1])
    if written is not None:
        words = [*words[:-1], _DATED.sub("", words[-1], count=1)]
    return Named(tuple(words), tuple(parts), language, written, is_draft)


def slug_of(folders: Sequence[str], name: str, most: int) -> str:
    """The slug of a path; one that is too long loses its first folders.

    Args:
        folders: Those above the file.
        name: The file's, which stays whole: where it alone is too long the slug is empty.
        most: Characters at most.
    """
    slug = slugify(name)
    if len(slug) > most:
        return ""
    # From the file on, each folder once: a path in a zip may have thousands.
    for part in filter(None, map(slugify, reversed(folders))):
        if len(longer := f"{part}-{slug}".rstrip("-")) > most:
            break
        slug = longer
    return slug


def known_folder(name: str) -> str:
    """The name as Jekyll writes it, where it is `_posts` or `_drafts` but for capitals.

    A folder that is meant for drafts does not come out over a capital letter.
    """
    return name.lower() if name.lower() in {POSTS, DRAFTS} else name


def is_language(name: str) -> bool:
    """Whether a folder or a suffix of this name says in which language a text is."""
    return name[:2] in _LANGUAGES and _REGION.fullmatch(name[2:]) is not None


def _split_language(parts: list[str]) -> tuple[list[str], str | None]:
    stem, _, suffix = parts[-1].rpartition(".")
    if stem and is_language(suffix):
        return [*parts[:-1], stem], suffix
    if len(parts) > 1 and is_language(parts[0]):
        return parts[1:], parts[0]
    return parts, None


def _date_of(name: str) -> date | None:
    match = _DATED.match(name)
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None
