from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from strongback.search import BadFilter, BadSort, Order, parse_filter, parse_sort
from strongback.search.filter import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_VALUES,
    And,
    Comparison,
    Existence,
    Membership,
    Not,
    Operator,
    Or,
    Range,
)
from tests.strongback.search.conftest import BOOK

LANGUAGE, TAGS, PAGES, PUBLISHED = (
    BOOK[name] for name in ("language", "tags", "pages", "published_at")
)
ZH = Comparison(LANGUAGE, Operator.EQUAL, "zh")
EN = Comparison(LANGUAGE, Operator.EQUAL, "en")
LONG = Comparison(PAGES, Operator.MORE, 100)
SPRING = datetime(2026, 3, 1, tzinfo=UTC)


def refused_at(text: str) -> int | None:
    """Where the fault of a filter is, or None if it has none."""
    try:
        parse_filter(BOOK, text)
    except BadFilter as error:
        return error.offset
    return None


class TestReading:
    @pytest.mark.parametrize("text", ["", " ", "\n\t"])
    def test_nothing_is_no_filter(self, text):
        assert parse_filter(BOOK, text) is None

    @pytest.mark.parametrize(
        "text, expected",
        [
            ("language = zh", ZH),
            ("language=zh", ZH),
            ("  language\n=\tzh ", ZH),
            ('language = "zh"', ZH),
            ("language = 'zh'", ZH),
            ("language != zh", Comparison(LANGUAGE, Operator.UNEQUAL, "zh")),
            (r'language = "a \"b\" \\c"', Comparison(LANGUAGE, Operator.EQUAL, 'a "b" \\c')),
            ("language = and", Comparison(LANGUAGE, Operator.EQUAL, "and")),
            ("language = ''", Comparison(LANGUAGE, Operator.EQUAL, "")),
            ("language = 中文", Comparison(LANGUAGE, Operator.EQUAL, "中文")),
            ("pages >= -3", Comparison(PAGES, Operator.AT_LEAST, -3)),
            ("pages 1 TO 5", Range(PAGES, 1, 5)),
            ("pages 1 to '5'", Range(PAGES, 1, 5)),
            ("tag IN [a, 'b c']", Membership(TAGS, ("a", "b c"))),
            ("tag not in [a]", Membership(TAGS, ("a",), negated=True)),
            ("tag IN []", Membership(TAGS, ())),
            ("tags EXISTS", Existence(TAGS)),
            ("tag NOT EXISTS", Existence(TAGS, negated=True)),
            ("published_at < 2026-03-01", Comparison(PUBLISHED, Operator.LESS, SPRING)),
            (
                "published_at < 2026-03-01T02:00:00+02:00",
                Comparison(PUBLISHED, Operator.LESS, SPRING),
            ),
            ("NOT language = zh", Not(ZH)),
            ("NOT NOT language = zh", Not(Not(ZH))),
            ("(language = zh)", ZH),
            ("language = zh AND pages > 100", And((ZH, LONG))),
            ("language = zh OR language = en AND pages > 100", Or((ZH, And((EN, LONG))))),
            ("(language = zh OR language = en) AND pages > 100", And((Or((ZH, EN)), LONG))),
            ("NOT language = zh AND pages > 100", And((Not(ZH), LONG))),
            ("NOT (language = zh AND pages > 100)", Not(And((ZH, LONG)))),
        ],
    )
    def test_gives_the_tree(self, text, expected):
        assert parse_filter(BOOK, text) == expected


class TestRefusing:
    @pytest.mark.parametrize(
        "text, offset",
        [
            ("language", 8),
            ("language =", 10),
            ("language zh", 9),
            ("language = zh AND", 17),
            ("language = zh pages = 1", 14),
            ("= zh", 0),
            ("AND", 0),
            ("unknown = 1", 0),
            ("title = tea", 0),
            ("language > en", 9),
            ("language a TO b", 9),
            ("lent < true", 5),
            ("lent = yes", 7),
            ("pages = many", 8),
            ("pages = 1.5", 8),
            ("pages = ١", 8),
            ("pages = 1_0", 8),
            ("pages = 9223372036854775808", 8),
            ("price = nan", 8),
            ("price = inf", 8),
            ("price = 1e999", 8),
            ("published_at > soon", 15),
            ("published_at > 0001-01-01T00:00:00+14:00", 15),
            ("tag IN a", 7),
            ("tag IN [a b]", 10),
            ("tag IN [a,,b]", 10),
            ("tag IN [a", 9),
            ("tag NOT a", 8),
            ("(language = zh", 14),
            ("language = zh)", 13),
            ("()", 1),
            ("language = 'zh", 11),
            ("language ! zh", 9),
            ("language == zh", 10),
            ("pages 1 TO", 10),
        ],
    )
    def test_points_at_the_place(self, text, offset):
        with pytest.raises(BadFilter) as caught:
            parse_filter(BOOK, text)
        error = caught.value
        assert error.offset == offset
        assert error.extra["position"] == offset + 1
        shown, caret = error.extra["pointer"].split("\n")
        assert shown[len(caret) - 1 :] == text[offset : offset + len(shown[len(caret) - 1 :])]
        assert error.code == 422
        assert str(offset + 1) in str(error)

    @pytest.mark.parametrize(
        "text",
        [
            "language = " + "a" * MAX_LENGTH,
            "(" * (MAX_DEPTH + 1) + "language = zh" + ")" * (MAX_DEPTH + 1),
            "NOT " * (MAX_DEPTH + 1) + "language = zh",
            f"tag IN [{', '.join('a' * (MAX_VALUES + 1))}]",
            " OR ".join(["lent = true"] * (MAX_CONDITIONS + 1)),
        ],
    )
    def test_is_bounded(self, text):
        with pytest.raises(BadFilter):
            parse_filter(BOOK, text)

    def test_takes_what_is_at_the_bounds(self):
        assert parse_filter(BOOK, "(" * MAX_DEPTH + "language = zh" + ")" * MAX_DEPTH) == ZH
        assert parse_filter(BOOK, f"tag IN [{', '.join('a' * MAX_VALUES)}]")

        assert parse_filter(BOOK, " OR ".join(["lent = true"] * MAX_CONDITIONS))

    def test_with_too_many_conditions_says_how_to_ask_for_as_many_values(self):
        with pytest.raises(BadFilter) as caught:
            parse_filter(BOOK, " OR ".join(f"tag = {number}" for number in range(99)))
        assert "at most 20 conditions; ask for several values by IN [one, two]" in str(caught.value)

    def test_any_text_is_a_filter_or_refused(self):
        pieces = ["language", "pages", "tag", "=", "!=", "<", "(", ")", "[", "]", ",", "'", '"']
        pieces += ["\\", "AND", "or", "NOT", "IN", "TO", "EXISTS", "zh", "1", "\0", "\ud800", "!"]
        chance = random.Random(1)
        for _ in range(5_000):
            text = " ".join(chance.choices(pieces, k=chance.randrange(1, 12)))
            offset = refused_at(text)
            assert offset is None or 0 <= offset <= len(text)


class TestSorting:
    def test_reads_orders(self):
        expected = (Order("published_at", descending=True), Order("pages"))
        assert parse_sort(BOOK, "-published_at, pages") == expected
        assert parse_sort(BOOK, "") == ()

    @pytest.mark.parametrize("text", ["title", "-unknown", "pages,tags", "--pages", "pages desc"])
    def test_refuses_what_is_not_sortable(self, text):
        with pytest.raises(BadSort):
            parse_sort(BOOK, text)
