from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import pytest

from app.article.metadata import REMEDIES, Metadata, read_metadata
from app.article.source import Refusal

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def refused(**facts: Any) -> str:
    with pytest.raises(Refusal) as caught:
        read_metadata(facts)
    return str(caught.value)


class TestDate:
    @pytest.mark.parametrize(
        "written, expected",
        [
            ("2026-01-15", datetime(2026, 1, 15, tzinfo=UTC)),
            ("2026-1-5", datetime(2026, 1, 5, tzinfo=UTC)),
            ("2026/01/15", datetime(2026, 1, 15, tzinfo=UTC)),
            ("2026-01-15 10:00", datetime(2026, 1, 15, 10, tzinfo=UTC)),
            ("2026-01-15 9:05", datetime(2026, 1, 15, 9, 5, tzinfo=UTC)),
            ("2015-07-05 21:05:20 +0800", datetime(2015, 7, 5, 13, 5, 20, tzinfo=UTC)),
            ("2015-07-05 21:05:20 +08", datetime(2015, 7, 5, 13, 5, 20, tzinfo=UTC)),
            ("2015-07-05T21:05:20+08:00", datetime(2015, 7, 5, 13, 5, 20, tzinfo=UTC)),
            ("2015-07-05t21:05:20z", datetime(2015, 7, 5, 21, 5, 20, tzinfo=UTC)),
            ("2015-07-05 21:05:20 UTC", datetime(2015, 7, 5, 21, 5, 20, tzinfo=UTC)),
            ("2015-07-05 21:05 -0330", datetime(2015, 7, 6, 0, 35, tzinfo=UTC)),
            ("2015-07-05T21:05:20.5Z", datetime(2015, 7, 5, 21, 5, 20, 500_000, tzinfo=UTC)),
            (
                "2015-07-05T21:05:20.123456789Z",
                datetime(2015, 7, 5, 21, 5, 20, 123_456, tzinfo=UTC),
            ),
            (date(2026, 1, 15), datetime(2026, 1, 15, tzinfo=UTC)),
            (datetime.fromisoformat("2026-01-15T10:00"), datetime(2026, 1, 15, 10, tzinfo=UTC)),
            (
                datetime(2026, 1, 15, 10, tzinfo=timezone(timedelta(hours=8))),
                datetime(2026, 1, 15, 2, tzinfo=UTC),
            ),
        ],
    )
    def test_is_read_in_each_form_and_without_a_zone_in_utc(self, written, expected):
        assert read_metadata({"date": written}).published_at() == expected

    @pytest.mark.parametrize(
        "written",
        [
            "20260115",
            "12:30:45",
            "2026-02-30",
            "2026-13-01",
            "2026-01-15 25:00",
            "2026-01-15 10",
            "2026-01-15 10:00 PM",
            "2026-01-15 10:00 CST",
            "2026-01-15 10:00 +25:00",
            "9999-12-31T23:59:59-10:00",
            "9999-12-31T23:59:59.999999Z",
            "0001-01-01T00:00:00+23:59",
            "0001-01-01",
            "January 5, 2015",
            "15.01.2026",
            "soon",
            20260115,
            time(12, 30, 45),
            ["2026-01-15"],
            True,
        ],
    )
    def test_that_is_none_is_refused_with_what_to_write(self, written):
        assert refused(date=written).startswith("bad front matter: date: write a moment such as")

    def test_of_publication_goes_before_the_other(self):
        facts = {"date": "2026-01-15", "publishdate": "2026-01-16"}
        assert read_metadata(facts).published_at() == datetime(2026, 1, 16, tzinfo=UTC)

    def test_may_be_called_published(self):
        metadata = read_metadata({"published": "2026-01-15"})
        assert metadata.published_at() == datetime(2026, 1, 15, tzinfo=UTC)
        assert metadata.is_published(NOW) is None


class TestSwitch:
    @pytest.mark.parametrize(
        "facts, expected",
        [
            ({}, None),
            ({"draft": "true"}, False),
            ({"draft": "Yes"}, False),
            ({"draft": True}, False),
            ({"draft": "false"}, True),
            ({"published": "false"}, False),
            ({"published": "true"}, True),
            ({"publish": "no"}, False),
            ({"published": "true", "draft": "true"}, False),
            ({"expirydate": "2026-05-31"}, False),
            ({"expirydate": "2026-06-02"}, None),
        ],
    )
    def test_says_whether_readers_may_see_it(self, facts, expected):
        assert read_metadata(facts).is_published(NOW) is expected

    @pytest.mark.parametrize("key", ["draft", "publish"])
    def test_that_is_none_is_refused_with_what_to_write(self, key):
        assert refused(**{key: "maybe"}) == f"bad front matter: {key}: write true or false"


class TestTags:
    @pytest.mark.parametrize(
        "written, expected",
        [
            ("foo", ["foo"]),
            ("a, b", ["a", "b"]),
            ("a b", ["a", "b"]),
            ("machine learning, web", ["machine learning", "web"]),
            ("前端，后端、其他", ["其他", "前端", "后端"]),
            ("#a #b", ["a", "b"]),
            (["b", "a", "B"], ["a", "b"]),
            (["machine learning"], ["machine learning"]),
            (["#a", "c#", None, "", " x "], ["a", "c#", "x"]),
            (["2024", 2025], ["2024", "2025"]),
            (2024, ["2024"]),
            (",", []),
        ],
    )
    def test_are_read_in_each_form(self, written, expected):
        assert read_metadata({"tags": written}).tags == expected

    @pytest.mark.parametrize(
        "written", [{"a": "b"}, [["a"]], [{"a": "b"}], True, "a" * 41, [str(n) for n in range(21)]]
    )
    def test_that_are_none_are_refused_with_what_to_write(self, written):
        assert "write a list such as [python, web]" in refused(tags=written)


class TestNames:
    @pytest.mark.parametrize(
        "written, expected",
        [
            ("Foo_Bar", "foo-bar"),
            ("foo-bar", "foo-bar"),
            ("2024", "2024"),
            ("Über_Uns", "über-uns"),
        ],
    )
    def test_slug_may_differ_in_case_and_hyphens(self, written, expected):
        assert read_metadata({"slug": written}).slug == expected

    @pytest.mark.parametrize("written", ["a b", "../a", "a/b", "a--b", "-", "a" * 121, ["a"]])
    def test_other_slugs_are_refused_with_what_to_write(self, written):
        assert "such as my-first-post" in refused(slug=written)

    @pytest.mark.parametrize(
        "written, expected",
        [
            ("zh_CN", "zh-cn"),
            ("ZH", "zh"),
            ("zh-CN", "zh-CN"),
            ("EN-us", "en-us"),
            ("zh-Hans", "zh-Hans"),
            ("no", "no"),
        ],
    )
    def test_language_may_differ_in_case_and_hyphens(self, written, expected):
        assert read_metadata({"language": written}).language == expected
        assert read_metadata({"lang": written}).lang == expected

    @pytest.mark.parametrize("written", ["english language", "1", "e", ["en"]])
    def test_other_languages_are_refused_with_what_to_write(self, written):
        assert refused(lang=written) == (
            "bad front matter: lang: write a tag such as en, zh or pt-BR"
        )

    @pytest.mark.parametrize("written", [2024, "2024"])
    def test_title_may_be_a_number(self, written):
        assert read_metadata({"title": written}).title == "2024"

    @pytest.mark.parametrize("written", [["a"], {"a": "b"}, True, "a" * 201])
    def test_title_that_is_none_is_refused_with_what_to_write(self, written):
        assert refused(title=written).startswith("bad front matter: title: write one line")

    def test_description_is_shortened_where_it_is_long(self):
        assert len(read_metadata({"description": "a " * 500}).description or "") == 500
        assert read_metadata({"description": ["a"]}).description is None


def test_unknown_keys_are_left_alone():
    facts = {"permalink": "/a/", "categories": ["a"], "aliases": ["b"], "outline": "deep", "x": 1}
    assert read_metadata(facts) == Metadata()


def test_each_key_that_can_be_wrong_has_a_remedy():
    lenient = {"description", "layout", "type"}
    assert set(Metadata.model_fields) - lenient == set(REMEDIES)
