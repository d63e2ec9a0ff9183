from __future__ import annotations

import doctest
import sys
import unicodedata

import pytest

from strongback import text
from strongback.text import MAX_MARKS, MAYBE_MARKED, normalize, shorten, slugify


def test_examples_are_true():
    result = doctest.testmod(text)
    assert (result.failed, result.attempted) == (0, 3)


class TestNormalize:
    @pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
    @pytest.mark.parametrize(
        "text", ["", "tea", "café", "ｅ\u0301\u0316", "\u0f73", "한국어", "हिन्दी"]
    )
    def test_is_what_unicode_says(self, form, text):
        assert normalize(form, text) == unicodedata.normalize(form, text)

    def test_leaves_out_marks_that_no_letter_has(self):
        assert normalize("NFC", "x" + "\u0316" * 1_000 + "y") == "x" + "\u0316" * MAX_MARKS + "y"

    def test_every_mark_is_in_the_blocks_where_marks_are_looked_for(self):
        marks = [chr(i) for i in range(sys.maxunicode + 1) if unicodedata.combining(chr(i))]
        assert [mark for mark in marks if not MAYBE_MARKED.match(mark)] == []


class TestSlugify:
    @pytest.mark.parametrize(
        "given, expected",
        [
            ("Getting Started", "getting-started"),
            ("  a  --  b__c  ", "a-b-c"),
            ("A/B\\C.md", "a-b-c-md"),
            ("中文 标题", "中文-标题"),
            ("Ｆｕｌｌ　Ｗｉｄｔｈ", "full-width"),
            ("ﬁ", "fi"),
            ("Ünïcödé", "ünïcödé"),
            ("e\u0301", "é"),
            ("x²", "x2"),
            ("😀", ""),
            ("---", ""),
            ("", ""),
            ("../../etc/passwd", "etc-passwd"),
            ("a\x00b\nc", "a-b-c"),
            ("⚙️ Setup", "setup"),
            ("❤️", ""),
            ("1️⃣ One", "1-one"),
            ("👩‍💻 Dev", "dev"),
            ("a\u200bb\u202ec", "a-b-c"),
            ("\u3164", ""),
            ("हिन्दी", "हिन्दी"),
        ],
    )
    def test_joins_words(self, given, expected):
        assert slugify(given) == expected

    @pytest.mark.parametrize("given", ["Getting Started", "中文 标题", "İstanbul", "ǅ", "ẞ"])
    def test_is_stable(self, given):
        assert slugify(slugify(given)) == slugify(given)

    @pytest.mark.parametrize("word", ["हिन्दी", "ที่นี่", "தமிழ்"])
    def test_keeps_scripts_with_vowel_signs_whole(self, word):
        assert slugify(word) == word


class TestShorten:
    @pytest.mark.parametrize(
        "given, length, expected",
        [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("ab cd", 4, "ab…"), ("", 3, ""), ("abcd", 1, "…")],
    )
    def test_cuts_with_an_ellipsis(self, given, length, expected):
        assert shorten(given, length) == expected

    @pytest.mark.parametrize("length", range(1, 30))
    def test_is_never_longer(self, length):
        assert len(shorten("a foundation that runs", length)) <= length
