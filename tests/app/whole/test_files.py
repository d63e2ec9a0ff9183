"""Files of the reference application in real servers: behind Nginx, and killed in the middle."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from app.core.config import load_settings
from app.core.permission import Role
from app.main import create_app
from strongback.database import utc_now
from strongback.file import Files, StoredFile
from strongback.file.content import ACCEL_FROM, POLICY
from strongback.file.files import ABANDONED
from tests.live import PASSWORD, LiveServer, create_user, serving
from tests.support.front import run_front
from tests.support.work import work

TIMEOUT = 60
LARGE = b"".join(b"%015d\n" % number for number in range(ACCEL_FROM // 8))
MEGABYTE = 1 << 20


@dataclass
class Person:
    """Ada, who keeps files."""

    url: str
    token: dict[str, str] = field(default_factory=dict)

    def sign_in(self) -> None:
        form = {"grant_type": "password", "username": "ada", "password": PASSWORD}
        answer = httpx.post(f"{self.url}/auth/token", data=form, timeout=TIMEOUT)
        self.token = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def upload(self, content: bytes, name: str = "notes.txt") -> httpx.Response:
        return httpx.post(
            f"{self.url}/files",
            data={"kind": "attachment"},
            files={"file": (name, content)},
            headers=self.token,
            timeout=TIMEOUT,
        )

    def content(self, file_id: str, **headers: str) -> httpx.Response:
        url = f"{self.url}/files/{file_id}/content"
        return httpx.get(url, headers=self.token | headers, timeout=TIMEOUT)


@pytest.fixture(scope="module")
def server(nginx: None) -> Iterator[LiveServer]:
    """The application, whose store is a folder that Nginx may read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "var").mkdir()
        (folder / "store").mkdir()
        (folder / "var" / "files").symlink_to(folder / "store")
        with serving(folder / "var", WEB_PROXIES="1", FILE_ACCEL="true") as server:
            create_user(folder / "var", "ada", Role.USER)
            yield server


@pytest.fixture(scope="module")
def ada(server: LiveServer) -> Iterator[Person]:
    root = str(server.log.parents[1] / "store")
    with run_front([server.port], NGINX_FILES_ROOT=root, NGINX_UPLOADS="2") as front:
        ada = Person(f"{front.address}/api/v1")
        ada.sign_in()
        yield ada


@pytest.fixture(scope="module")
def file_id(ada: Person) -> str:
    return str(ada.upload(LARGE).json()["id"])


class TestNginx:
    """Nginx sends large files by itself, with the application's headers."""

    def test_the_headers_are_those_of_the_application(self, server, ada, file_id):
        direct = Person(f"{server.url}/api/v1", ada.token)
        small = ada.upload(b"small").json()["id"]
        response, own = ada.content(file_id), ada.content(small)
        assert response.content == LARGE
        assert "X-Accel-Redirect" in direct.content(file_id).headers
        assert response.headers["ETag"] == f'"{file_id}"'
        assert response.headers["Content-Security-Policy"] == POLICY
        for name in (
            "Content-Type",
            "Content-Disposition",
            "Content-Security-Policy",
            "Cross-Origin-Resource-Policy",
            "X-Content-Type-Options",
            "Cache-Control",
            "Accept-Ranges",
            "Referrer-Policy",
            "X-Frame-Options",
        ):
            assert (name, response.headers.get_list(name)) == (name, own.headers.get_list(name))

    def test_a_range_is_sent(self, ada, file_id):
        part = ada.content(file_id, Range="bytes=16-31")
        assert (part.status_code, part.content) == (206, LARGE[16:32])
        assert part.headers["Content-Range"] == f"bytes 16-31/{len(LARGE)}"
        tag = part.headers["ETag"]
        assert ada.content(file_id, Range="bytes=16-31", **{"If-Range": tag}).status_code == 206
        assert ada.content(file_id, Range="bytes=16-31", **{"If-Range": '"x"'}).status_code == 200

    def test_what_is_no_range_of_the_file_is_answered_by_the_application(self, ada, file_id):
        refused = ada.content(file_id, Range=f"bytes={len(LARGE)}-")
        assert (refused.status_code, refused.json()["error_code"]) == (416, 17007)
        assert refused.headers["Content-Range"] == f"bytes */{len(LARGE)}"
        for unknown in ("bytes=5-2", "bytes=x", "bytes=-0", "bytes=0-1,4-5"):
            response = ada.content(file_id, Range=unknown)
            assert (unknown, response.status_code) == (unknown, 200)
            assert response.content == LARGE

    def test_conditions_are_those_of_the_application(self, ada, file_id):
        known = ada.content(file_id).headers
        for headers, status in (
            ({"If-None-Match": known["ETag"]}, 304),
            ({"If-None-Match": '"x"'}, 200),
            ({"If-Modified-Since": known["Last-Modified"]}, 304),
            ({"If-Match": known["ETag"]}, 200),
            ({"If-Match": '"x"'}, 412),
        ):
            assert (headers, ada.content(file_id, **headers).status_code) == (headers, status)

    def test_nobody_asks_for_the_folder_itself(self, ada, file_id):
        url = ada.url.removesuffix("/api/v1")
        key = f"private/{file_id[:2]}/{file_id}/original"
        for path in (f"/internal/files/{key}", "/internal/files/../app.db"):
            assert httpx.get(url + path).status_code == 404
        assert httpx.get(f"{ada.url}/files/{file_id}/content").status_code == 404

    def test_more_uploads_than_the_disk_holds_are_refused(self, ada):
        host = ada.url.removeprefix("http://").removesuffix("/api/v1")
        name, _, port = host.partition(":")
        head = f"POST /api/v1/files HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\n"
        codes: list[int] = []
        with contextlib.ExitStack() as stack:
            while 10014 not in codes and len(codes) < 20:
                slow = stack.enter_context(socket.create_connection((name, int(port)), 5))
                slow.sendall(head.encode() + b"x")
                codes.append(ada.upload(b"one more").json().get("error_code"))
        assert codes[-1] == 10014


class TestKilled:
    """A server that is killed while it takes uploads."""

    def test_serves_no_half_file_afterwards_and_what_is_left_is_swept(
        self, tmp_path, starts_processes
    ):
        kept: dict[str, str] = {}
        contents = [bytes([65 + number]) * (4 * MEGABYTE) for number in range(6)]
        with serving(tmp_path) as server:
            create_user(tmp_path, "ada", Role.USER)
            ada = Person(f"{server.url}/api/v1")
            ada.sign_in()

            def upload(content: bytes) -> None:
                with suppress(httpx.TransportError):
                    while (response := ada.upload(content)).status_code == 201:
                        kept[response.json()["id"]] = hashlib.sha256(content).hexdigest()

            threads = [threading.Thread(target=upload, args=(each,)) for each in contents]
            for thread in threads:
                thread.start()
            deadline = time.monotonic() + TIMEOUT
            while len(kept) < 3 and time.monotonic() < deadline:
                time.sleep(0.01)
            os.killpg(server.pid, signal.SIGKILL)
            for thread in threads:
                thread.join()
        assert kept
        known = {hashlib.sha256(content).hexdigest() for content in contents}
        with serving(tmp_path) as server:
            ada = Person(f"{server.url}/api/v1")
            ada.sign_in()
            url = f"{ada.url}/files?page_size=100"
            listed = httpx.get(url, headers=ada.token, timeout=TIMEOUT).json()["items"]
            found = {
                each["id"]: hashlib.sha256(ada.content(each["id"]).content).hexdigest()
                for each in listed
            }
        assert kept.items() <= found.items()
        assert set(found.values()) <= known
        sweep_two_hours_later(tmp_path)
        files = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
        assert sorted(path.parent.name for path in files) == sorted(found)
        assert list((tmp_path / "upload").iterdir()) == []


def sweep_two_hours_later(folder: Path) -> None:
    old = time.time() - 2 * ABANDONED.total_seconds()
    for path in [*(folder / "files").rglob("*"), *(folder / "upload").iterdir()]:
        os.utime(path, (old, old))
    app = create_app(load_settings(app_env="test", app_var_dir=folder))
    changed = update(StoredFile).values(changed_at=utc_now() - 2 * ABANDONED)
    app.database.transact(lambda session: session.execute(changed))
    app.services[Files].sweep()
    work(app)
    app.close()
