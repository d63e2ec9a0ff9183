"""The content of a file: ranges, conditions and safe headers."""

from __future__ import annotations

import pytest

from app.core.config import Settings
from strongback.file.object_store import PIECE, ObjectMissing
from strongback.testing import empty
from tests.support.cabinet import Cabinet, open_cabinet
from tests.support.kept import Kept

TEXT = b"0123456789"


@pytest.fixture
def cabinet(kept: Kept, settings: Settings, database_url: str) -> Cabinet:
    """A cabinet that the tests here share: they change nothing but files."""
    shared = kept.get(open_cabinet, settings, database_url)
    empty(shared.app.database)
    return Cabinet(shared.app, shared.files)


@pytest.fixture
def paper(cabinet):
    return cabinet.upload(TEXT, "Übung.txt", "paper").json


def get(cabinet, file, *, by=None, method="GET", query="", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    path = f"/files/{file['id']}/content{query}"
    return cabinet.call(method, path, by=by, headers=named)


class TestHeaders:
    def test_let_nothing_run(self, cabinet, paper):
        response = get(cabinet, paper)
        assert (response.status_code, response.data) == (200, TEXT)
        headers = response.headers
        assert headers["Content-Type"] == "text/plain"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in headers["Content-Security-Policy"]
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Content-Disposition"].startswith("attachment;")
        assert "%C3%9Cbung.txt" in headers["Content-Disposition"]
        assert headers["Content-Length"] == "10"

    def test_let_everybody_keep_public_files_and_nobody_private_ones(self, cabinet, paper):
        public = get(cabinet, paper).headers
        assert public["Cache-Control"].startswith("public")
        assert public["Cross-Origin-Resource-Policy"] == "cross-origin"
        private = get(cabinet, cabinet.upload().json, by="ada").headers
        assert private["Cache-Control"] == "private, no-cache"
        assert private["Cross-Origin-Resource-Policy"] == "same-origin"

    def test_are_those_of_a_head_too(self, cabinet, paper):
        response = get(cabinet, paper, method="HEAD")
        assert (response.status_code, response.data) == (200, b"")
        assert response.headers["Content-Length"] == "10"
        assert response.headers["ETag"] == get(cabinet, paper).headers["ETag"]


class TestPrivate:
    def test_is_hidden_from_others(self, cabinet):
        file = cabinet.upload().json
        seen = {who: get(cabinet, file, by=who).status_code for who in ("ada", "bob", "eve", None)}
        assert seen == {"ada": 200, "bob": 404, "eve": 200, None: 404}

    def test_an_id_of_another_shape_is_invalid_and_an_unknown_one_is_not_found(self, cabinet):
        assert get(cabinet, {"id": "0" * 32}).status_code == 404
        assert get(cabinet, {"id": "..%2F..%2Fapp.db"}).status_code in {404, 422}
        assert get(cabinet, {"id": "X" * 32}).status_code == 422

    def test_a_variant_that_is_not_there_is_not_found(self, cabinet, paper):
        for variant in ("small", "../original", "%00"):
            assert get(cabinet, paper, query=f"?variant={variant}").status_code == 404


class TestRange:
    @pytest.mark.parametrize(
        "asked, sent, described",
        [
            ("bytes=0-3", (206, b"0123"), "bytes 0-3/10"),
            ("bytes=7-", (206, b"789"), "bytes 7-9/10"),
            ("bytes=-2", (206, b"89"), "bytes 8-9/10"),
            ("bytes=5-100", (206, b"56789"), "bytes 5-9/10"),
            ("bytes=-100", (206, TEXT), "bytes 0-9/10"),
            ("bytes=0-1,4-5", (200, TEXT), None),
            ("lines=1-2", (200, TEXT), None),
            ("bytes=x", (200, TEXT), None),
            ("bytes=5-2", (200, TEXT), None),
        ],
    )
    def test_sends_the_part(self, cabinet, paper, asked, sent, described):
        response = get(cabinet, paper, Range=asked)
        assert (response.status_code, response.data) == sent
        assert response.headers.get("Content-Range") == described
        assert response.headers["Content-Length"] == str(len(sent[1]))
        assert response.headers["Accept-Ranges"] == "bytes"

    def test_refuses_one_after_the_end(self, cabinet, paper):
        response = get(cabinet, paper, Range="bytes=10-")
        assert (response.status_code, response.json["error_code"]) == (416, 17007)
        assert response.headers["Content-Range"] == "bytes */10"

    def test_sends_all_if_the_file_is_another_than_expected(self, cabinet, paper):
        known = get(cabinet, paper).headers
        for name, status in {
            known["ETag"]: 206,
            '"other"': 200,
            known["Last-Modified"]: 206,
            "Mon, 01 Jan 2024 00:00:00 GMT": 200,
        }.items():
            response = get(cabinet, paper, Range="bytes=0-3", If_Range=name)
            assert (name, response.status_code) == (name, status)

    def test_crosses_the_pieces_in_which_it_is_read(self, cabinet):
        content = b"".join(b"%07d\n" % number for number in range(3 * PIECE // 8))
        file = cabinet.upload(content, kind="paper").json
        start, end = PIECE - 5, 2 * PIECE + 5
        response = get(cabinet, file, Range=f"bytes={start}-{end - 1}")
        assert response.data == content[start:end]
        assert get(cabinet, file).data == content


class TestConditions:
    def test_what_is_known_is_not_sent_again(self, cabinet, paper):
        known = get(cabinet, paper).headers
        for headers in (
            {"If_None_Match": known["ETag"]},
            {"If_None_Match": f"W/{known['ETag']}"},
            {"If_Modified_Since": known["Last-Modified"]},
        ):
            response = get(cabinet, paper, **headers)
            assert (response.status_code, response.data) == (304, b"")
            assert response.headers["ETag"] == known["ETag"]
            assert response.headers["Cache-Control"] == known["Cache-Control"]

    def test_a_precondition_that_fails_is_refused(self, cabinet, paper):
        assert get(cabinet, paper, If_Match='"other"').status_code == 412
        assert get(cabinet, paper, If_Match=get(cabinet, paper).headers["ETag"]).status_code == 200

    def test_a_content_that_is_gone_from_the_store_is_not_found(self, cabinet, paper):
        key = f"public/{paper['id'][:2]}/{paper['id']}/original"
        cabinet.files.store.delete([key])
        assert get(cabinet, paper).status_code == 404


def test_a_download_ends_early_if_its_file_is_deleted_meanwhile(cabinet):
    """With fewer bytes than its Content-Length, so that the client knows."""
    file = cabinet.upload(bytes(range(32, 127)) * (3 * PIECE // 95), kind="paper").json
    response = cabinet.client.get(f"/api/files/{file['id']}/content", buffered=False)
    pieces = response.iter_encoded()
    assert len(next(pieces)) == PIECE
    assert cabinet.call("DELETE", f"/files/{file['id']}").status_code == 204
    cabinet.work()
    with pytest.raises(ObjectMissing):
        list(pieces)
    response.close()
