"""The routes of files, in the embedded mode."""

from __future__ import annotations

import io
import re

import pytest
from sqlalchemy import select

from strongback.database import DatabaseMisuse
from strongback.file.exceptions import FileRefused, StoreError
from strongback.file.file_model import StoredFile
from tests.support.cabinet import NOTE

PDF = b"%PDF-1.7\n<script>alert(1)</script>"


def rows(cabinet):
    with cabinet.app.database.scope():
        return cabinet.app.database.session.scalars(select(StoredFile)).all()


class TestUpload:
    def test_answers_with_the_file_and_its_address(self, cabinet):
        response = cabinet.upload(b"hello", "../my notes.txt")
        assert response.status_code == 201
        file = response.json
        assert re.fullmatch("[0-9a-f]{32}", file["id"])
        assert file["name"] == "my notes.txt"
        assert (file["kind"], file["size"], file["content_type"]) == ("note", 5, "text/plain")
        assert (file["is_public"], file["width"], file["variants"]) == (False, None, {})
        assert file["url"] == f"/api/files/{file['id']}/content"
        assert response.headers["Location"] == f"/api/files/{file['id']}"

    def test_decides_on_the_type_by_the_content(self, cabinet):
        file = cabinet.upload(PDF, "picture.png").json
        assert (file["content_type"], file["name"]) == ("application/pdf", "picture.png.pdf")

    @pytest.mark.parametrize(
        "content, kind, refusal, words",
        [
            (b"", "note", (422, 17005), "empty"),
            (b"x" * 1_000_001, "note", (413, 17001), "1,000,000"),
            (b"<html><script>", "note", (422, 17004), "text/plain"),
            (b"hello", "photo", (422, 17004), "image/"),
            (b"hello", "nothing", (422, 17003), "note, paper, photo"),
            (b"hello", "secret", (403, 10003), "permission"),
        ],
    )
    def test_refuses_and_says_why(self, cabinet, content, kind, refusal, words):
        response = cabinet.upload(content, kind=kind)
        assert (response.status_code, response.json["error_code"]) == refusal
        assert words in response.json["message"]
        assert cabinet.kept() == []
        assert rows(cabinet) == []
        assert cabinet.used("ada") == 0

    @pytest.mark.parametrize(
        "body",
        [
            b"hello",
            b'--x\r\nContent-Disposition: form-data; name="kind"\r\n\r\nnote',
            b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nnote\r\n--x--\r\n',
        ],
        ids=["no form", "cut off", "not UTF-8"],
    )
    def test_says_of_a_broken_form_that_it_is_broken(self, cabinet, body):
        form = {"data": body, "content_type": "multipart/form-data; boundary=x"}
        response = cabinet.call("POST", "/files", **form)
        assert (response.status_code, response.json["error_code"]) == (400, 10001)
        assert "broken, incomplete" in response.json["message"]

    def test_refuses_a_form_of_many_parts_or_of_long_texts(self, cabinet):
        part = b'--x\r\nContent-Disposition: form-data; name="kind"\r\n\r\n'
        for body in ((part + b"note\r\n") * 17, part + b"x" * 140_000):
            form = {
                "data": body + b"\r\n--x--\r\n",
                "content_type": "multipart/form-data; boundary=x",
            }
            assert cabinet.call("POST", "/files", **form).status_code == 413

    def test_a_scanner_may_refuse(self, cabinet):
        def refuse(path, kind):
            assert path.read_bytes() == b"virus"
            raise FileRefused(params={"reason": "it is Test.Virus"})

        cabinet.files.scan(refuse)
        response = cabinet.upload(b"virus")
        assert response.status_code == 422
        assert response.json["message"] == "The file was refused: it is Test.Virus."
        assert cabinet.kept() == []

    def test_is_refused_inside_a_transaction(self, cabinet):
        def add(_):
            cabinet.files.add(io.BytesIO(b"hello"), "a", NOTE, 1)

        with pytest.raises(DatabaseMisuse, match="add files before it"):
            cabinet.app.database.transact(add)

    def test_needs_a_token(self, cabinet):
        data = {"kind": "note", "file": (io.BytesIO(b"x"), "a")}
        assert cabinet.call("POST", "/files", by=None, data=data).status_code == 401


@pytest.mark.speaks_sql
class TestQuota:
    @pytest.fixture
    def narrow(self, cabinet):
        cabinet.files.quota.limit = 10
        return cabinet

    def test_a_file_that_does_not_fit_is_refused(self, narrow):
        assert narrow.upload(b"123456").status_code == 201
        response = narrow.upload(b"12345")
        assert (response.status_code, response.json["error_code"]) == (413, 17002)
        assert narrow.used("ada") == 6
        assert len(rows(narrow)) == 1

    def test_each_account_has_its_own(self, narrow):
        assert narrow.upload(b"1234567890").status_code == 201
        assert narrow.upload(b"1234567890", by="bob").status_code == 201

    def test_deleting_makes_room(self, narrow):
        file = narrow.upload(b"1234567890").json
        narrow.call("DELETE", f"/files/{file['id']}")
        assert narrow.used("ada") == 0
        assert narrow.upload(b"1234567890").status_code == 201


@pytest.mark.speaks_sql
class TestRead:
    def test_lists_ones_own_the_latest_first(self, cabinet):
        first, second = (cabinet.upload(text).json["id"] for text in (b"1", b"2"))
        cabinet.upload(b"3", by="bob")
        page = cabinet.call("GET", "/files").json
        assert [item["id"] for item in page["items"]] == [second, first]
        assert page["total"] == 2
        page = cabinet.call("GET", "/files?cursor=&page_size=1").json
        assert [item["id"] for item in page["items"]] == [second]

    def test_is_for_the_owner_and_for_managers(self, cabinet):
        path = f"/files/{cabinet.upload().json['id']}"
        statuses = {who: cabinet.call("GET", path, by=who).status_code for who in ("ada", "bob")}
        assert statuses == {"ada": 200, "bob": 404}
        assert cabinet.call("GET", path, by="eve").json["download_url"] is None
        assert cabinet.call("GET", path, by=None).status_code == 401

    def test_links_public_files_at_the_cdn(self, cabinet):
        cabinet.files.cdn_url = "https://cdn.example.org"
        public, private = (cabinet.upload(kind=kind).json for kind in ("paper", "note"))
        key = f"public/{public['id'][:2]}/{public['id']}/original"
        assert public["url"] == f"https://cdn.example.org/{key}"
        assert private["url"].startswith("/api/files/")


@pytest.mark.speaks_sql
class TestDelete:
    def test_removes_the_row_at_once_and_the_content_soon(self, cabinet):
        path = f"/files/{cabinet.upload().json['id']}"
        assert cabinet.call("DELETE", path).status_code == 204
        assert cabinet.call("GET", f"{path}/content").status_code == 404
        assert rows(cabinet) == []
        assert "file:remove" in cabinet.work()
        assert cabinet.kept() == []
        assert cabinet.call("DELETE", path).status_code == 404

    def test_is_for_the_owner_and_for_managers(self, cabinet):
        path = f"/files/{cabinet.upload().json['id']}"
        assert cabinet.call("DELETE", path, by="bob").status_code == 404
        assert cabinet.call("DELETE", path, by="eve").status_code == 204


class TestStoreFails:
    def test_an_upload_leaves_nothing_and_is_answered_with_503(self, cabinet):
        folder = cabinet.app.settings.app_var_dir / "files"
        folder.write_text("no folder: every write fails")
        response = cabinet.upload()
        assert (response.status_code, response.json["error_code"]) == (503, 17010)
        assert response.headers["Retry-After"]
        assert rows(cabinet) == []
        assert cabinet.used("ada") == 0

    def test_the_check_tells(self, cabinet):
        (cabinet.app.settings.app_var_dir / "files").write_text("no folder")
        with pytest.raises(StoreError):
            cabinet.files.store.check()
