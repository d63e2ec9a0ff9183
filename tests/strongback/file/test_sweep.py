"""What a killed server leaves: a half file is never served, and the rest is swept."""

from __future__ import annotations

import os
import time

import pytest
from sqlalchemy import update

from strongback.database import utc_now
from strongback.file.file_model import FileState, StoredFile
from strongback.file.files import ABANDONED
from strongback.file.object_store import FolderStore

OLD = 2 * ABANDONED


class Killed(BaseException):
    """The end of the process, as far as the request sees it."""


def age(cabinet):
    """Let two hours pass."""
    old = update(StoredFile).values(changed_at=utc_now() - OLD)
    cabinet.app.database.transact(lambda session: session.execute(old))
    moment = time.time() - OLD.total_seconds()
    var = cabinet.app.settings.app_var_dir
    for path in [*(var / "files").rglob("*"), *(var / "upload").iterdir()]:
        os.utime(path, (moment, moment))


@pytest.fixture
def left(cabinet):
    """What is there after a kill between the row and the end of the content."""
    file = cabinet.upload().json
    cabinet.app.database.transact(
        lambda session: session.execute(update(StoredFile).values(state=FileState.WRITING))
    )
    var = cabinet.app.settings.app_var_dir
    key = f"private/{file['id'][:2]}/{file['id']}/original"
    (var / "files" / f"{key}#1").write_bytes(b"he")
    (var / "upload" / "tmpabc").mkdir(parents=True)
    (var / "upload" / "tmpabc" / "original").write_bytes(b"he")
    return file


@pytest.mark.speaks_sql
class TestSweep:
    def test_what_is_not_complete_is_not_served(self, cabinet, left):
        for path in (f"/files/{left['id']}", f"/files/{left['id']}/content"):
            assert cabinet.call("GET", path).status_code == 404
        assert cabinet.call("GET", "/files").json["items"] == []

    def test_leaves_what_may_still_be_running(self, cabinet, left):
        before = cabinet.kept()
        assert cabinet.files.sweep() == 0
        assert cabinet.kept() == before

    def test_removes_rows_halves_and_temporary_files(self, cabinet, left):
        kept = cabinet.upload(b"whole").json
        cabinet.app.database.transact(
            lambda session: session.execute(update(StoredFile).values(changed_at=utc_now() - OLD))
        )
        age(cabinet)
        assert cabinet.files.sweep() == 3
        cabinet.work()
        assert cabinet.kept() == [f"files/private/{kept['id'][:2]}/{kept['id']}/original"]
        assert cabinet.used("ada") == 5
        assert cabinet.call("GET", f"/files/{kept['id']}/content").data == b"whole"

    def test_an_upload_that_was_swept_meanwhile_is_not_shown(self, cabinet):
        folder = cabinet.app.settings.app_var_dir / "files"
        cabinet.files.store = SweptMeanwhile(folder, cabinet)
        assert cabinet.upload().status_code == 503
        cabinet.work()
        assert cabinet.kept() == []
        assert cabinet.used("ada") == 0


class SweptMeanwhile(FolderStore):
    """A store so slow that two hours have passed when it has written something."""

    def __init__(self, folder, cabinet):
        super().__init__(folder, 5)
        self.cabinet = cabinet

    def write(self, key, source, headers):
        super().write(key, source, headers)
        age(self.cabinet)
        self.cabinet.files.sweep()
