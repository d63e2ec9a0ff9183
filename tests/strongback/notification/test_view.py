from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from strongback.database import utc_now
from strongback.notification.notification_model import Notification
from tests.support.api import ACCOUNTS, API


@pytest.fixture
def inbox(api: API) -> list[int]:
    """Five of eve's, the latest last, and one of bob's; the numbers of eve's."""

    def note(recipient: str, number: int) -> Notification:
        return Notification(
            recipient=1 + list(ACCOUNTS).index(recipient),
            kind="article:published",
            subject=f"article:{number}",
            actor="ada",
            data={"slug": "tea", "title": "Tea"},
        )

    rows = [note("eve", number) for number in range(5)]
    api.database.transact(lambda session: session.add_all([*rows, note("bob", 0)]))
    return [row.id for row in rows]


def listed(api: API, query: str = "", by: str = "eve") -> list[int]:
    answer: Any = api.call("GET", f"/notifications{query}", by=by).json
    return [item["id"] for item in answer["items"]]


def mark(api: API, body: object, by: str = "eve") -> int:
    return int(api.post("/notifications/read", body, by=by).status_code)


@pytest.mark.speaks_sql
class TestList:
    def test_has_ones_own_the_latest_first(self, api, inbox):
        assert listed(api) == inbox[::-1]
        assert len(listed(api, by="bob")) == 1
        assert listed(api, by="ada") == []

    def test_is_a_page_with_links(self, api, inbox):
        response = api.call("GET", "/notifications?page=2&page_size=2", by="eve")
        assert response.json["total"] == 5
        assert [item["id"] for item in response.json["items"]] == [inbox[2], inbox[1]]
        assert 'rel="next"' in response.headers["Link"]

    @pytest.mark.parametrize("unread", ["", "&unread=true"])
    def test_goes_on_by_cursor(self, api, inbox, unread):
        seen, cursor = [], ""
        while cursor is not None:
            answer = api.call(
                "GET", f"/notifications?page_size=2&cursor={cursor}{unread}", by="eve"
            ).json
            seen += [item["id"] for item in answer["items"]]
            cursor = answer.get("next_cursor")
        assert seen == inbox[::-1]

    def test_may_be_of_the_unread_alone(self, api, inbox):
        mark(api, {"ids": inbox[:2]})
        assert listed(api, "?unread=true") == inbox[:1:-1]
        assert api.call("GET", "/notifications?unread=true", by="eve").json["total"] == 3
        assert listed(api, "?unread=false") == inbox[::-1]

    def test_is_nobody_elses(self, api, inbox):
        """No shared cache keeps it, and another's tag is no 304."""
        response = api.call("GET", "/notifications", by="eve")
        assert response.headers["Cache-Control"] == "private, no-cache"
        tag = {"If-None-Match": response.headers["ETag"]}
        assert api.call("GET", "/notifications", by="eve", headers=tag).status_code == 304
        assert api.call("GET", "/notifications", by="bob", headers=tag).status_code == 200


@pytest.mark.speaks_sql
class TestRead:
    def test_marks_those_that_are_named(self, api, inbox):
        assert mark(api, {"ids": [inbox[1], inbox[3], inbox[1]]}) == 204
        assert listed(api, "?unread=true") == [inbox[4], inbox[2], inbox[0]]

    def test_keeps_the_first_moment(self, api, inbox):
        before = utc_now()
        mark(api, {"ids": inbox[-1:]})
        first, *_ = api.call("GET", "/notifications", by="eve").json["items"]
        assert before <= datetime.fromisoformat(first["read_at"]) <= utc_now()
        mark(api, {"all": True})
        again, *_ = api.call("GET", "/notifications", by="eve").json["items"]
        assert again == first

    def test_marks_all_of_ones_own(self, api, inbox):
        assert mark(api, {"all": True}) == 204
        assert listed(api, "?unread=true") == []
        assert len(listed(api, "?unread=true", by="bob")) == 1

    def test_marks_all_of_nothing(self, api):
        assert mark(api, {"all": True}) == 204

    def test_those_of_others_are_passed_over(self, api, inbox):
        assert mark(api, {"ids": [*inbox, 999_999]}, by="bob") == 204
        assert listed(api, "?unread=true") == inbox[::-1]

    def test_what_says_neither_or_both_is_refused(self, api, inbox):
        bodies: list[object] = [
            {},
            {"ids": []},
            {"all": False},
            {"all": None},
            {"ids": None},
            {"ids": [1], "all": True},
            {"ids": ["1"]},
            {"ids": [0]},
            {"ids": [1.5]},
            {"ids": [2**63]},
            {"ids": list(range(1, 102))},
            {"all": True, "more": 1},
            [],
        ]
        for body in bodies:
            assert mark(api, body) == 422, body
            assert listed(api, "?unread=true") == inbox[::-1], body

    def test_remedy_is_in_the_readers_language(self, api):
        response = api.post("/notifications/read", {}, by="eve", headers={"Accept-Language": "zh"})
        assert response.json["errors"][0]["message"] == "请发送 ids 或 all，二者取其一。"


KIND = "task:finished"


def choices(api: API, by: str = "eve", **headers: str) -> dict[str, Any]:
    answer: Any = api.call("GET", "/notifications/preferences", by=by, headers=headers).json
    return {each["kind"]: each for each in answer["kinds"]}


def choose(api: API, kind: str, **ways: bool) -> Any:
    body = {"kinds": [{"kind": kind, "ways": ways}]}
    return api.call("PUT", "/notifications/preferences", by="eve", json=body)


class TestUnread:
    def test_is_the_number_of_ones_own(self, api, inbox):
        mark(api, {"ids": inbox[:2]})
        counts = [
            api.call("GET", "/notifications/unread", by=by).json["count"]
            for by in ("eve", "bob", "ada")
        ]
        assert counts == [3, 1, 0]

    def test_is_zero_once_all_are_read(self, api, inbox):
        mark(api, {"all": True})
        assert api.call("GET", "/notifications/unread", by="eve").json == {"count": 0}


@pytest.mark.speaks_sql
class TestPreferences:
    def test_list_every_kind_with_its_ways_in_the_readers_language(self, api):
        english, chinese = choices(api), choices(api, **{"Accept-Language": "zh"})
        assert english[KIND]["ways"]["inbox"] is True
        assert english["session:new-device"]["is_security"] is True
        assert all(chinese[kind]["about"] != english[kind]["about"] for kind in english)

    def test_are_replaced_as_a_whole(self, api):
        first = choose(api, KIND, inbox=False).json
        assert {each["kind"]: each["ways"]["inbox"] for each in first["kinds"]} == {
            kind: kind != KIND for kind in choices(api)
        }
        assert choices(api, by="bob")[KIND]["ways"]["inbox"] is True
        choose(api, KIND, mail=False)
        assert choices(api)[KIND]["ways"] == {"inbox": True, "realtime": True, "mail": False}
        api.call("PUT", "/notifications/preferences", by="eve", json={"kinds": []})
        assert all(choices(api)[KIND]["ways"].values())

    def test_take_what_they_have_answered(self, api):
        choose(api, KIND, inbox=False)
        kinds = [{"kind": each["kind"], "ways": each["ways"]} for each in choices(api).values()]
        before = choices(api)
        response = api.call("PUT", "/notifications/preferences", by="eve", json={"kinds": kinds})
        assert (response.status_code, choices(api)) == (200, before)

    def test_wrong_ones_are_refused_and_change_nothing(self, api):
        choose(api, KIND, inbox=False)
        for kind, ways, error_code in (
            ("tea:brewed", {"inbox": False}, 10012),
            (KIND, {"sms": True}, 10012),
            (KIND, {"pigeon": True}, 10012),
            (KIND, {"inbox": 1}, 10012),
            ("session:new-device", {"inbox": False}, 16001),
        ):
            response = choose(api, kind, **ways)
            found = (response.status_code, response.json["error_code"])
            assert found == (422, error_code), (kind, ways)
            assert choices(api)[KIND]["ways"]["inbox"] is False, (kind, ways)

    def test_a_kind_that_is_sent_twice_is_refused(self, api):
        entry = {"kind": KIND, "ways": {}}
        body = {"kinds": [entry, entry]}
        response = api.call("PUT", "/notifications/preferences", by="eve", json=body)
        assert response.status_code == 422
