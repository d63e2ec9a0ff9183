from __future__ import annotations

from datetime import date
from pathlib import PurePath

import pytest

from app.article.naming import read_path, slug_of


@pytest.mark.parametrize(
    "path, words, language",
    [
        ("guide/logging.md", ("guide", "logging"), None),
        ("guide/logging.zh.md", ("guide", "logging"), "zh"),
        ("zh/guide/logging.md", ("guide", "logging"), "zh"),
        ("page.pt-BR.md", ("page",), "pt-BR"),
        ("zh-cn/page.md", ("page",), "zh-cn"),
        ("my-go/page.md", ("my-go", "page"), None),
        ("guide/zh/page.md", ("guide", "zh", "page"), None),
        ("v1.2.md", ("v1.2",), None),
        ("zh.md", ("zh",), None),
        ("post/index.md", ("post",), None),
        ("post/index.zh.md", ("post",), "zh"),
        ("posts/_index.md", ("posts",), None),
        ("index.md", ("index",), None),
        ("zh/index.md", ("index",), "zh"),
        ("_posts/a/b.md", ("a", "b"), None),
        ("_posts/zh/b.md", ("b",), "zh"),
        ("zh/_posts/b.md", ("b",), "zh"),
        ("source/_drafts/idea.md", ("idea",), None),
    ],
)
def test_a_path_gives_words_and_language(path, words, language):
    named = read_path(PurePath(path))
    assert (named.words, named.language) == (words, language)


@pytest.mark.parametrize(
    "path, words, written",
    [
        ("_posts/2015-07-05-old-post.md", ("old-post",), date(2015, 7, 5)),
        ("2015-7-5-old.md", ("old",), date(2015, 7, 5)),
        ("posts/2015-07-05-old/index.md", ("posts", "old"), date(2015, 7, 5)),
        ("2015-07-05.md", ("2015-07-05",), None),
        ("2015-07-05-.md", ("2015-07-05-",), None),
        ("2015-13-45-old.md", ("2015-13-45-old",), None),
    ],
)
def test_a_name_may_begin_with_its_date(path, words, written):
    named = read_path(PurePath(path))
    assert (named.words, named.date) == (words, written)


@pytest.mark.parametrize(
    "path, full_words",
    [
        ("_posts/2015-07-05-old.md", ("2015-07-05-old",)),
        ("post/index.md", ("post", "index")),
        ("post.md", ("post",)),
    ],
)
def test_the_full_words_are_those_of_the_path(path, full_words):
    assert read_path(PurePath(path)).full_words == full_words


@pytest.mark.parametrize(
    "path, is_draft",
    [
        ("_drafts/a.md", True),
        ("_Drafts/a.md", True),
        ("x/_drafts/y/a.md", True),
        ("_posts/a.md", False),
        ("_drafts.md", False),
    ],
)
def test_a_file_below_drafts_is_a_draft(path, is_draft):
    assert read_path(PurePath(path)).is_draft is is_draft


@pytest.mark.parametrize(
    "folders, name, slug",
    [
        (("a", "b"), "c", "a-b-c"),
        (("A b", "!", "é"), "c", "a-b-é-c"),
        (("long", "b"), "c" * 8, "b-cccccccc"),
        (("b",), "c" * 11, ""),
        (("b",), "!", "b"),
    ],
)
def test_a_slug_that_is_too_long_loses_its_first_folders(folders, name, slug):
    assert slug_of(folders, name, 10) == slug
