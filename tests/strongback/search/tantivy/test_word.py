from __future__ import annotations

import subprocess
import sys

import pytest

from app.core.config import ROOT
from strongback.search.tantivy.english import forms
from strongback.search.tantivy.highlight import Marker
from strongback.search.tantivy.word import cut_finely, fold, split, split_query


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Tea", "tea"),
        ("Crème BRÛLÉE", "creme brulee"),
        ("ＦＵＬＬ　ｗｉｄｔｈ", "full width"),
        ("Straße", "strasse"),
        ("ﬁne", "fine"),
        ("Ёлка", "елка"),
        ("हिन्दी", "हिन्दी"),
        ("がぎ", "がぎ"),
    ],
)
def test_spellings_that_people_take_for_the_same_are(text, expected):
    assert fold(text) == expected


@pytest.mark.parametrize(
    "text, written, found",
    [
        ("snake_case, kebab-case; don't", ["snake", "case", "kebab", "case", "don", "t"], []),
        ("", [], []),
        ("\0\ud800", [], []),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"], []),
        ("使用FastAPI框架", ["使", "用", "fastapi", "框", "架"], ["使用", "框架"]),
        ("数据库。数据", ["数", "据", "库", "数", "据"], ["数据", "数据库", "数据"]),
    ],
)
def test_a_text_is_cut_into_what_is_written_and_the_words_of_the_dictionary(text, written, found):
    words, more = split(text)
    assert words == written
    assert [word for word in more if word != "据库"] == found


def test_a_long_word_is_cut_into_those_within():
    assert cut_finely("全文搜索") == ["全文", "搜索"]


def test_a_query_keeps_its_order():
    assert split_query("部署 FastAPI到Docker_服务") == ["部署", "fastapi", "到", "docker", "服务"]


@pytest.mark.parametrize(
    "one, other",
    [
        ("handling", "handle"),
        ("handled", "handles"),
        ("query", "queries"),
        ("running", "run"),
        ("tests", "testing"),
        ("boxes", "box"),
        ("including", "includes"),
        ("class", "classes"),
    ],
)
def test_forms_of_a_word_lead_to_one_another(one, other):
    assert other in forms(one)
    assert one in forms(other)


@pytest.mark.parametrize("word", ["sql", "c0de", "数据库", "naïve", "sing", "bus"])
def test_what_has_no_forms_keeps_itself(word):
    assert word in forms(word)
    assert "s" not in forms(word)


def test_marks_survive_letters_that_fold_to_more():
    marker = Marker(frozenset({"tea"}), frozenset({"cre"}), frozenset({"茶"}))
    assert marker.mark("İ ß ﬁ Tea, Crème 绿茶 <b>") == (
        "İ ß ﬁ <mark>Tea</mark>, <mark>Crème</mark> 绿<mark>茶</mark> &lt;b&gt;"
    )


@pytest.mark.usefixtures("starts_processes")
def test_english_needs_no_dictionary():
    """It takes a second and 60 MB, which a process without Chinese texts is spared."""
    code = (
        "import sys; from strongback.search.tantivy.word import split;"
        " split('green tea'); assert 'rjieba' not in sys.modules;"
        " split('绿茶'); assert 'rjieba' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
