"""A store that is gone, or takes connections and says nothing."""

from __future__ import annotations

import pytest

from strongback.file.exceptions import StoreError
from strongback.file.object_store import open_store
from strongback.testing.port import free_port
from tests.support.bucket import Bucket, run_bucket, silent_server
from tests.support.cabinet import Cabinet, open_cabinet
from tests.support.worker import wait_until


def opened(settings, database_url, port, **changes) -> Cabinet:
    lost = Bucket(f"127.0.0.1:{port}", changes={"file_store_timeout": 0.3} | changes)
    return open_cabinet(settings, database_url=database_url, **lost.settings)


@pytest.fixture(params=["gone", "silent"])
def cabinet(request, settings, database_url):
    if request.param == "gone":
        cabinet = opened(settings, database_url, free_port())
        yield cabinet
        cabinet.app.close()
        return
    with silent_server() as port:
        cabinet = opened(settings, database_url, port)
        yield cabinet
        cabinet.app.close()


class TestOutage:
    def test_an_upload_is_answered_with_503_and_leaves_nothing(self, cabinet):
        response = cabinet.upload()
        assert (response.status_code, response.json["error_code"]) == (503, 17010)
        assert response.headers["Retry-After"] == "5"
        assert cabinet.used("ada") == 0
        assert cabinet.call("GET", "/files").json["items"] == []
        assert cabinet.kept() == []

    def test_nobody_waits_for_a_store_that_is_known_not_to_answer(self, cabinet):
        for _ in range(3):
            cabinet.upload()
        with pytest.raises(StoreError, match="known not to answer"):
            cabinet.files.store.size("probe")

    def test_the_check_fails_and_everything_else_goes_on(self, cabinet):
        with pytest.raises(StoreError):
            cabinet.files.store.check()
        assert cabinet.call("GET", "/files").status_code == 200

    def test_the_removal_of_a_deleted_file_is_tried_again(self, cabinet):
        with pytest.raises(StoreError):
            cabinet.files.store.delete(["private/x"])


def test_a_store_that_comes_back_is_used_again(settings):
    port = free_port()
    lost = Bucket(f"127.0.0.1:{port}", changes={"file_store_timeout": 0.3})
    store = open_store(settings.model_copy(update=lost.settings))
    for _ in range(4):
        with pytest.raises(StoreError):
            store.size("probe")
    with run_bucket(port):
        wait_until(lambda: answers(store), "the store's return")
    store.close()


def answers(store):
    try:
        return store.check()
    except StoreError:
        return False
