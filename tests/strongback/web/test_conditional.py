from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from strongback.config import Settings
from strongback.exceptions import NotFound
from strongback.schema import RequestPath, Schema, Validators
from strongback.web import APIBlueprint, Response, conditional, public
from strongback.web.http_app import HTTPApp

CHANGED = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LAST_MODIFIED = "Fri, 02 Jan 2026 03:04:05 GMT"
TAG = '"1-7"'
STATE = Validators("1-7", CHANGED)


class Name(RequestPath):
    name: str


class Page(Schema):
    name: str
    text: str


@dataclass
class Stored:
    name: str
    text: str = "text"
    validators: Validators = STATE


class Store:
    """Knows one page's version and text, and what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.seen: list[Validators] = []

    def validators(self, name: str) -> Validators | None:
        self.asked.append("validators")
        return STATE if name == "known" else None

    def load(self, name: str) -> Stored:
        self.asked.append("text")
        if name != "known":
            raise NotFound
        return Stored(name)


@pytest.fixture(scope="module")
def shared_store() -> Store:
    return Store()


@pytest.fixture
def store(shared_store: Store) -> Store:
    """The store of all tests, which was asked for nothing yet."""
    shared_store.asked.clear()
    shared_store.seen.clear()
    return shared_store


@pytest.fixture(scope="module")
def probe(module_settings: Settings, shared_store: Store) -> FlaskClient:
    """A client of a versioned resource, and of answers without a version."""
    store, bare = shared_store, HTTPApp("bare", module_settings, title="Bare", version="1.0")
    api = APIBlueprint("probe", __name__, url_prefix="")

    @api.get("/page/<name>", responses={200: Page})
    @public
    def read_page(path: Name) -> Stored | Response:
        """Read."""
        return conditional(
            lambda: store.load(path.name),
            validators=lambda: store.validators(path.name),
            seen=store.seen.append,
        )

    @api.post("/page/<name>", responses={200: Page})
    @public
    def write_page(path: Name) -> Stored:
        """Write."""
        return store.load(path.name)

    bare.register_api(api)
    bare.add_url_rule("/plain", "plain", lambda: {"plain": True})
    bare.add_url_rule("/other", "other", lambda: {"plain": False})
    bare.add_url_rule("/private", "private", lambda: ({}, {"Cache-Control": "no-store"}))
    bare.add_url_rule("/made", "made", lambda: ({}, 201))
    return bare.test_client()


def read(probe: FlaskClient, path: str = "/page/known", **headers: str) -> Any:
    return probe.get(
        path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


class TestTag:
    def test_of_a_resource_is_its_version(self, probe):
        assert read(probe).headers["ETag"] == TAG

    def test_of_a_resource_comes_with_its_last_change(self, probe):
        assert read(probe).headers["Last-Modified"] == LAST_MODIFIED

    def test_is_strong(self, probe):
        assert re.fullmatch(r'"[\w-]+"', read(probe, "/plain").headers["ETag"])

    def test_of_anything_else_is_made_of_the_body(self, probe):
        same = [read(probe, "/plain").headers["ETag"] for _ in range(2)]
        assert same[0] == same[1] != read(probe, "/other").headers["ETag"]

    def test_asks_caches_to_come_back(self, probe):
        assert read(probe).headers["Cache-Control"] == "no-cache"
        assert read(probe, "/plain").headers["Cache-Control"] == "no-cache"

    @pytest.mark.parametrize("path", ["/private", "/made", "/nowhere"])
    def test_is_not_on_what_is_not_kept(self, probe, path):
        assert "ETag" not in read(probe, path).headers

    def test_is_not_on_the_answer_to_a_write(self, probe):
        assert "ETag" not in probe.post("/page/known").headers


class TestIfNoneMatch:
    @pytest.mark.parametrize(
        "given",
        [TAG, f"W/{TAG}", f'"other", {TAG}', f'W/"other",W/{TAG}', "*", " * ", f"  {TAG}  "],
    )
    def test_the_current_version_is_304(self, probe, given):
        assert read(probe, If_None_Match=given).status_code == 304

    @pytest.mark.parametrize(
        "given", ['"other"', 'W/"other"', '"1-7x"', '"1"', '""', "", ",", '"*"']
    )
    def test_another_version_is_200(self, probe, given):
        assert read(probe, If_None_Match=given).status_code == 200

    def test_304_has_no_body_and_no_type(self, probe):
        response = read(probe, If_None_Match=TAG)
        assert response.data == b""
        assert "Content-Type" not in response.headers

    def test_304_keeps_what_a_cache_needs(self, probe):
        full, fresh = read(probe), read(probe, If_None_Match=TAG)
        for name in ("ETag", "Last-Modified", "Cache-Control"):
            assert fresh.headers[name] == full.headers[name]

    def test_304_of_a_hashed_body_keeps_the_tag(self, probe):
        tag = read(probe, "/plain").headers["ETag"]
        fresh = read(probe, "/plain", If_None_Match=tag)
        assert (fresh.status_code, fresh.data, fresh.headers["ETag"]) == (304, b"", tag)

    @pytest.mark.parametrize("form", ["W/{}", '"other", {}', "*"])
    def test_a_hashed_body_is_compared_in_the_same_way(self, probe, form):
        tag = read(probe, "/plain").headers["ETag"]
        assert read(probe, "/plain", If_None_Match=form.format(tag)).status_code == 304

    def test_wins_over_a_date(self, probe):
        response = read(probe, If_None_Match='"other"', If_Modified_Since=LAST_MODIFIED)
        assert response.status_code == 200

    def test_does_not_apply_to_a_write(self, probe):
        assert probe.post("/page/known", headers={"If-None-Match": TAG}).status_code == 200

    @pytest.mark.parametrize("given", [TAG, "*"])
    def test_what_is_absent_stays_404(self, probe, given):
        assert read(probe, "/page/unknown", If_None_Match=given).status_code == 404

    def test_an_error_is_never_304(self, probe):
        assert read(probe, "/nowhere", If_None_Match="*").status_code == 404


class TestIfModifiedSince:
    @pytest.mark.parametrize(
        "since",
        [
            LAST_MODIFIED,
            "Sat, 03 Jan 2026 00:00:00 GMT",
            "Friday, 02-Jan-26 03:04:05 GMT",
            "Fri Jan  2 03:04:05 2026",
        ],
    )
    def test_nothing_newer_is_304(self, probe, since):
        assert read(probe, If_Modified_Since=since).status_code == 304

    def test_anything_newer_is_200(self, probe):
        assert read(probe, If_Modified_Since="Fri, 02 Jan 2026 03:04:04 GMT").status_code == 200

    @pytest.mark.parametrize(
        "since",
        [
            "",
            "yesterday",
            "2026-01-02",
            "Fri, 02 Jan 2026 03:04:05",
            "Fri, 02 Jan 2026 03:04:05 -0000",
            "Fri, 99 Jan 2026 99:99:99 GMT",
            "Fri, 02 Jan 0000 03:04:05 GMT",
            "Fri, 02 Jan 99999 03:04:05 GMT",
            "Fri, 02 Jan 99999999999999999999 03:04:05 GMT",
            "Fri, 02 Jan 2026 03:04:99999999999999999999 GMT",
            "Fri, 02 Jan 2026 03:04:05 +9999999999999999",
            "Fri, 02 Jan 9999 23:59:59 -2359",
            "Mon, 01 Jan 0001 00:00:00 +2359",
            "0" * 5000,
        ],
    )
    def test_a_date_that_cannot_be_read_is_ignored(self, probe, since):
        assert read(probe, If_Modified_Since=since).status_code in {200, 304}

    def test_says_nothing_about_what_has_no_date(self, probe):
        assert read(probe, "/plain", If_Modified_Since=LAST_MODIFIED).status_code == 200


class TestIfMatch:
    @pytest.mark.parametrize("path", ["/page/known", "/plain"])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_another_version_is_412(self, probe, method, path):
        response = probe.open(path, method=method, headers={"If-Match": '"nope"'})
        assert response.status_code == 412
        assert response.headers["Cache-Control"] == "no-store"
        assert "ETag" not in response.headers

    @pytest.mark.parametrize("given", [TAG, f"W/{TAG}", "*", f'"old", {TAG}'])
    def test_the_current_version_is_200(self, probe, given):
        assert read(probe, If_Match=given).status_code == 200

    def test_a_hashed_body_is_compared_in_the_same_way(self, probe):
        tag = read(probe, "/plain").headers["ETag"]
        assert read(probe, "/plain", If_Match=tag).status_code == 200

    def test_comes_before_if_none_match(self, probe):
        response = read(probe, If_Match='"nope"', If_None_Match=TAG)
        assert response.status_code == 412

    def test_what_is_absent_stays_404(self, probe):
        assert read(probe, "/page/unknown", If_Match='"nope"').status_code == 404

    def test_says_nothing_about_what_has_no_tag(self, probe):
        assert read(probe, "/private", If_Match='"nope"').status_code == 200

    def test_is_left_to_a_write_itself(self, probe):
        response = probe.post("/page/known", headers={"If-Match": '"nope"'})
        assert response.status_code == 200


class TestIfUnmodifiedSince:
    @pytest.mark.parametrize("path", ["/page/known"])
    def test_a_change_after_it_is_412(self, probe, path):
        response = read(probe, path, If_Unmodified_Since="Fri, 02 Jan 2026 03:04:04 GMT")
        assert response.status_code == 412

    @pytest.mark.parametrize("since", [LAST_MODIFIED, "yesterday", "", "0" * 5000])
    def test_no_change_after_it_or_no_date_is_200(self, probe, since):
        assert read(probe, If_Unmodified_Since=since).status_code == 200

    def test_gives_way_to_a_tag(self, probe):
        early = "Fri, 02 Jan 2026 03:04:04 GMT"
        assert read(probe, If_Match=TAG, If_Unmodified_Since=early).status_code == 200

    def test_says_nothing_about_what_has_no_date(self, probe):
        early = "Fri, 02 Jan 1970 03:04:04 GMT"
        assert read(probe, "/plain", If_Unmodified_Since=early).status_code == 200


class TestSeen:
    @pytest.mark.parametrize("given", [{}, {"If-None-Match": TAG}, {"If-None-Match": '"old"'}])
    def test_tells_once_what_a_get_is_answered(self, probe, store, given):
        probe.get("/page/known", headers=given)
        assert store.seen == [STATE]

    def test_does_not_tell_of_what_is_not_read(self, probe, store):
        probe.head("/page/known")
        read(probe, If_Match='"nope"')
        probe.get("/page/unknown")
        probe.get("/page/unknown", headers={"If-None-Match": "*"})
        assert store.seen == []


class TestHead:
    def test_has_the_headers_and_no_body(self, probe):
        response = probe.head("/page/known")
        assert (response.status_code, response.data) == (200, b"")
        assert response.headers["ETag"] == TAG

    def test_has_the_tag_and_the_length_of_the_body(self, probe):
        full, head = probe.get("/plain"), probe.head("/plain")
        for name in ("ETag", "Content-Length"):
            assert head.headers[name] == full.headers[name]

    @pytest.mark.parametrize("path", ["/page/known", "/plain"])
    def test_is_304_too(self, probe, path):
        tag = probe.get(path).headers["ETag"]
        assert probe.head(path, headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.speaks_sql
class TestCost:
    def test_a_fresh_copy_is_confirmed_without_the_text(self, probe, store):
        read(probe, If_None_Match=TAG)
        assert store.asked == ["validators"]

    def test_a_plain_read_asks_for_no_validators(self, probe, store):
        read(probe)
        assert store.asked == ["text"]
