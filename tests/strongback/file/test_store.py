"""The contract of a store, which both stores keep."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from strongback.config import Settings
from strongback.file.exceptions import StoreError
from strongback.file.object_store import PART, ObjectMissing, ObstoreStore, open_store
from strongback.file.store import FileStore, object_key, upload_key
from tests.support.bucket import Bucket, fetch

HEADERS = {
    "Content-Type": "text/plain",
    "Content-Disposition": "attachment; filename=\"a\"; filename*=UTF-8''%C3%A4",
    "Cache-Control": "no-cache",
}
FILE_ID = "0123456789abcdef0123456789abcdef"
KEY = object_key(is_public=False, file_id=FILE_ID, variant="original")


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, settings: Settings) -> Iterator[ObstoreStore]:
    if request.param == "bucket":
        bucket: Bucket = request.getfixturevalue("bucket")
        settings = settings.model_copy(update=bucket.settings)
    store = open_store(settings)
    yield store
    store.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


def write(store: FileStore, source: Path, content: bytes, key: str = KEY) -> None:
    source.write_bytes(content)
    store.write(key, source, HEADERS)


def read(store: FileStore, start: int, end: int, key: str = KEY) -> bytes:
    return b"".join(store.read(key, start, end))


class TestContract:
    def test_reads_what_was_written(self, store, source):
        write(store, source, b"0123456789")
        assert read(store, 0, 10) == b"0123456789"
        assert store.size(KEY) == 10

    def test_reads_a_part(self, store, source):
        write(store, source, b"0123456789")
        assert read(store, 3, 5) == b"34"
        assert read(store, 9, 10) == b"9"

    def test_replaces_an_object(self, store, source):
        write(store, source, b"first, and longer")
        write(store, source, b"second")
        assert store.size(KEY) == 6

    def test_takes_more_than_one_part_and_reads_it_in_pieces(self, store, source):
        content = os.urandom(PART + 1000)
        write(store, source, content)
        pieces = list(store.read(KEY, 0, len(content)))
        assert b"".join(pieces) == content
        assert len(pieces) > 5

    def test_says_at_once_that_there_is_no_object(self, store):
        missing = upload_key("f" * 32)
        assert store.size(missing) is None
        with pytest.raises(ObjectMissing):
            store.read(missing, 0, 10)

    def test_fails_where_an_object_is_shorter_than_expected(self, store, source):
        write(store, source, b"short")
        with pytest.raises(StoreError):
            read(store, 5, 10)

    def test_deletes_objects_and_takes_it_easy_if_there_are_none(self, store, source):
        write(store, source, b"x")
        store.delete([KEY, upload_key("f" * 32)])
        store.delete([KEY])
        assert store.size(KEY) is None

    def test_answers_a_check(self, store):
        assert store.check()

    def test_sweeping_leaves_objects_and_what_is_young(self, store, source):
        write(store, source, b"x")
        assert store.sweep(datetime.now(UTC) - timedelta(hours=1)) == 0
        assert store.size(KEY) == 1


class TestFork:
    def test_a_child_of_a_process_that_used_a_store_is_refused_and_does_not_hang(
        self, settings, source, starts_processes
    ):
        store = open_store(settings)
        write(store, source, b"x")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
            child = os.fork()
        if child == 0:  # pragma: no cover  in the child
            try:
                store.size(KEY)
            except StoreError:
                os._exit(7)
            os._exit(1)
        assert _exit_code(child) == 7


def _exit_code(child: int) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return -1


class TestFolder:
    @pytest.fixture
    def folder(self, settings):
        return settings.app_var_dir / "files"

    def test_cannot_presign(self, settings):
        assert not open_store(settings).can_presign

    def test_sweeps_halves_of_writes_that_were_killed(self, settings, folder, source):
        store = open_store(settings)
        write(store, source, b"whole")
        half = folder / f"{KEY}#1"
        half.write_bytes(b"ha")
        old = time.time() - 7200
        os.utime(half, (old, old))
        os.utime(folder / KEY, (old, old))
        assert store.sweep(datetime.now(UTC) - timedelta(hours=1)) == 1
        assert not half.exists()
        assert read(store, 0, 5) == b"whole"

    def test_writes_deletes_and_sweeps_in_one_folder_at_once(self, settings, source, is_long):
        store = open_store(settings)
        source.write_bytes(b"x")
        stop = threading.Event()
        errors: list[Exception] = []

        def churn(number: int) -> None:
            key = f"private/ab/{number}/original"
            for _ in range(200 if is_long else 60):
                try:
                    store.write(key, source, HEADERS)
                    store.delete([key])
                except StoreError as error:
                    errors.append(error)

        def sweep() -> None:
            while not stop.is_set():
                try:
                    store.sweep(datetime.now(UTC) - timedelta(hours=1))
                except OSError as error:
                    errors.append(error)

        threads = [threading.Thread(target=churn, args=(number,)) for number in range(3)]
        sweeping = threading.Thread(target=sweep)
        for thread in (*threads, sweeping):
            thread.start()
        for thread in threads:
            thread.join()
        stop.set()
        sweeping.join()
        assert errors == []

    def test_leaves_no_empty_folders(self, settings, folder, source):
        store = open_store(settings)
        write(store, source, b"x")
        store.delete([KEY])
        assert [path for path in folder.rglob("*") if path.is_dir()] == []

    def test_a_check_finds_a_folder_that_cannot_be_written(self, settings, folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.write_text("a file in its place")
        with pytest.raises(StoreError, match="files"):
            open_store(settings).check()


class TestBucket:
    @pytest.fixture
    def store(self, settings, bucket):
        store = open_store(settings.model_copy(update=bucket.settings))
        yield store
        store.close()

    def test_a_signed_address_takes_an_upload(self, store, bucket):
        key = upload_key("a" * 32)
        assert bucket.put(store.presign("PUT", key, 60), b"<b>anything</b>") == 200
        assert read(store, 0, 15, key) == b"<b>anything</b>"

    def test_a_signed_address_sends_an_object_with_its_headers(self, store, source):
        write(store, source, b"x")
        status, headers, body = fetch("GET", store.presign("GET", KEY, 60))
        assert (status, body) == (200, b"x")
        assert headers["Content-Type"] == "text/plain"
        assert headers["Content-Disposition"] == HEADERS["Content-Disposition"]
        assert headers["Cache-Control"] == "no-cache"

    def test_sweeps_uploads_that_nobody_completed(self, store, bucket):
        key = upload_key("b" * 32)
        bucket.put(store.presign("PUT", key, 60), b"x")
        assert store.sweep(datetime.now(UTC) - timedelta(hours=1)) == 0
        assert store.sweep(datetime.now(UTC) + timedelta(minutes=1)) >= 1
        assert store.size(key) is None

    def test_a_check_finds_a_bucket_that_is_not_there(self, settings, bucket):
        changes = bucket.settings | {"file_store_url": f"http://{bucket.host}/nowhere"}
        store = open_store(settings.model_copy(update=changes))
        with pytest.raises(StoreError):
            store.check()
        store.close()

    def test_a_write_to_a_bucket_that_is_not_there_is_an_outage(self, settings, bucket, source):
        changes = bucket.settings | {"file_store_url": f"http://{bucket.host}/nowhere"}
        store = open_store(settings.model_copy(update=changes))
        with pytest.raises(StoreError) as raised:
            write(store, source, b"x")
        assert not isinstance(raised.value, ObjectMissing)
        store.close()
