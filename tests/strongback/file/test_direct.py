"""Uploads that clients send to the store itself, and what may have been sent."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import update

from strongback.database import utc_now
from strongback.file.file_model import FileState, StoredFile
from strongback.file.files import ABANDONED
from strongback.testing import empty
from tests.support.bucket import fetch
from tests.support.cabinet import Cabinet, open_cabinet


@pytest.fixture
def cabinet(kept, settings, database_url, bucket):
    """A cabinet that the tests here share, empty."""
    changes = {"database_url": database_url, **bucket.settings}
    shared = kept.get(open_cabinet, settings.model_copy(update=changes))
    empty(shared.app.database)
    return Cabinet(shared.app, shared.files)


def presign(cabinet, *, kind="note", size=5, name="a.txt", by="ada"):
    return cabinet.call(
        "POST", "/files/presign", by=by, json={"kind": kind, "name": name, "size": size}
    )


def complete(cabinet, file_id, by="ada"):
    return cabinet.call("POST", f"/files/{file_id}/complete", by=by)


def objects(cabinet, upload):
    """Whether an upload is at the store, and whether its file is."""
    store, file_id = cabinet.files.store, upload["id"]
    found = [
        store.size(f"upload/{file_id}"),
        store.size(f"private/{file_id[:2]}/{file_id}/original"),
    ]
    return [size is not None for size in found]


@pytest.fixture
def upload(cabinet, bucket):
    """An upload of ada's whose content has arrived."""
    upload = presign(cabinet).json
    bucket.put(upload["url"], b"hello")
    return upload


@pytest.mark.speaks_sql
class TestComplete:
    def test_makes_the_file_visible(self, cabinet, upload):
        path = f"/files/{upload['id']}"
        assert cabinet.call("GET", path).status_code == 404
        assert cabinet.call("GET", f"{path}/content").status_code == 404
        file = complete(cabinet, upload["id"]).json
        assert (file["name"], file["content_type"], file["size"]) == ("a.txt", "text/plain", 5)
        assert cabinet.call("GET", f"{path}/content").data == b"hello"
        cabinet.work()
        assert objects(cabinet, upload) == [False, True]
        assert cabinet.used("ada") == 5

    def test_repeating_it_has_no_effect(self, cabinet, upload):
        first = complete(cabinet, upload["id"]).json
        assert complete(cabinet, upload["id"]).json == first
        assert cabinet.used("ada") == 5

    def test_what_is_sent_later_to_the_same_address_changes_nothing(self, cabinet, bucket, upload):
        complete(cabinet, upload["id"])
        cabinet.work()
        bucket.put(upload["url"], b"<script>")
        complete(cabinet, upload["id"])
        content = cabinet.call("GET", f"/files/{upload['id']}/content").data
        assert content == b"hello"

    @pytest.mark.parametrize(
        "content, status, code",
        [
            (b"<html><script>alert(1)</script>", 422, 17004),
            (b"x" * 1_000_001, 413, 17001),
            (b"", 422, 17005),
        ],
    )
    def test_what_is_refused_is_deleted(self, cabinet, bucket, content, status, code):
        upload = presign(cabinet).json
        bucket.put(upload["url"], content)
        response = complete(cabinet, upload["id"])
        assert (response.status_code, response.json["error_code"]) == (status, code)
        cabinet.work()
        assert objects(cabinet, upload) == [False, False]
        assert cabinet.used("ada") == 0
        assert complete(cabinet, upload["id"]).status_code == 404

    def test_before_the_content_has_arrived_says_so_and_may_be_repeated(self, cabinet, bucket):
        upload = presign(cabinet).json
        response = complete(cabinet, upload["id"])
        assert (response.status_code, response.json["error_code"]) == (409, 17009)
        bucket.put(upload["url"], b"hello")
        assert complete(cabinet, upload["id"]).status_code == 200

    def test_is_for_the_owner(self, cabinet, upload):
        assert complete(cabinet, upload["id"], by="bob").status_code == 404
        assert complete(cabinet, upload["id"], by="eve").status_code == 404

    def test_counts_what_really_arrived(self, cabinet, bucket, monkeypatch):
        monkeypatch.setattr(cabinet.files.quota, "limit", 100)
        upload = presign(cabinet, size=1).json
        bucket.put(upload["url"], b"x" * 101)
        assert complete(cabinet, upload["id"]).json["error_code"] == 17002
        assert cabinet.used("ada") == 0

    def test_two_at_once_make_one_file(self, cabinet, upload):
        statuses = []
        threads = [
            threading.Thread(
                target=lambda: statuses.append(complete(cabinet, upload["id"]).status_code)
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(statuses) <= {200, 409}
        assert 200 in statuses
        assert cabinet.used("ada") == 5


class TestPresign:
    def test_takes_room_at_once(self, cabinet, monkeypatch):
        monkeypatch.setattr(cabinet.files.quota, "limit", 10)
        assert presign(cabinet, size=6).status_code == 201
        assert presign(cabinet, size=6).json["error_code"] == 17002

    @pytest.mark.parametrize(
        "asked, status",
        [
            ({"size": 1_000_001}, 413),
            ({"size": 0}, 422),
            ({"kind": "nothing"}, 422),
            ({"kind": "secret"}, 403),
            ({"size": -1}, 422),
        ],
    )
    def test_refuses_what_could_not_be_completed(self, cabinet, asked, status):
        assert presign(cabinet, **asked).status_code == status

    def test_where_the_store_takes_none_says_where_to_send_it(self, settings, database_url):
        cabinet = open_cabinet(settings, database_url=database_url)
        response = presign(cabinet)
        cabinet.app.close()
        assert (response.status_code, response.json["error_code"]) == (409, 17008)

    def test_a_file_has_an_address_to_download_it_from(self, cabinet):
        file = cabinet.upload().json
        url = cabinet.call("GET", f"/files/{file['id']}").json["download_url"]
        status, headers, body = fetch("GET", url)
        assert (status, body) == (200, b"hello")
        assert headers["Content-Disposition"].startswith("attachment")


class TestSweep:
    def test_forgets_uploads_that_nobody_completes(self, cabinet, upload):
        assert cabinet.files.sweep() == 0
        _age(cabinet, FileState.AWAITED)
        assert cabinet.files.sweep() == 1
        cabinet.work()
        assert objects(cabinet, upload) == [False, False]
        assert cabinet.used("ada") == 0
        assert complete(cabinet, upload["id"]).status_code == 404


def _age(cabinet, state):
    old = update(StoredFile).where(StoredFile.state == state)
    old = old.values(changed_at=utc_now() - 2 * ABANDONED)
    cabinet.app.database.transact(lambda session: session.execute(old))
