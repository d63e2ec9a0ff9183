"""Everything that people and attackers send as files, to a real server.

Each is refused with a clear error, or served harmless; nothing is left behind, and the server does
not grow.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest

from app.core.permission import Role
from tests.live import PASSWORD, LiveServer, create_user, serving
from tests.support import image

TIMEOUT = 60
DEADLINE = 30
PDF = b"%PDF-1.7\n" + image.HTML


@dataclass
class Sender:
    """Ada, who writes articles and keeps files."""

    server: LiveServer
    folder: Path
    http: httpx.Client

    def upload(self, content: bytes, name: str = "a.png", kind: str = "article-image"):
        return self.http.post(
            "/api/v1/files", data={"kind": kind}, files={"file": (name, content, "image/png")}
        )

    def kept(self) -> set[str]:
        """Files in the store, and beside it on their way there."""
        places = (self.folder / "files", self.folder / "upload")
        return {str(path) for place in places for path in place.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def ada(starts_processes: None) -> Iterator[Sender]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = {"WEB_RATE_LIMITS": "false", "WEB_WORKERS": "1"}
        with (
            serving(folder, **settings) as server,
            httpx.Client(base_url=server.url, timeout=TIMEOUT) as http,
        ):
            create_user(folder, "ada", Role.AUTHOR)
            form = {"grant_type": "password", "username": "ada", "password": PASSWORD}
            token = http.post("/api/v1/auth/token", data=form).json()["access_token"]
            http.headers["Authorization"] = f"Bearer {token}"
            yield Sender(server, folder, http)


REFUSED: dict[str, tuple[Callable[[], bytes], int]] = {
    "png-10000": (lambda: image.white_png(10_000, 10_000), 17024),
    "png-header": (lambda: image.png_of(2**31 - 1, 2**31 - 1), 17024),
    "jpeg-65000": (lambda: image.jpeg_header(65_000, 65_000), 17024),
    "webp-16383": (lambda: image.webp_header(16_383, 16_383), 17024),
    "text-bomb": (image.text_bomb, 17023),
    "frames": (lambda: image.animation("GIF", 101), 17025),
    "truncated-png": (lambda: image.truncated("PNG"), 17023),
    "truncated-jpeg": (lambda: image.truncated("JPEG"), 17023),
    "svg": (lambda: image.SVG, 17004),
    "html": (lambda: image.HTML, 17004),
    "pdf": (lambda: PDF, 17004),
    "zip": (lambda: b"PK\x03\x04" + bytes(100), 17004),
    "nothing": (lambda: b"", 17005),
    "heic": (lambda: image.heif(b"heic", b"mif1"), 17021),
}


class TestRefused:
    @pytest.mark.parametrize("name", REFUSED)
    def test_with_a_clear_error_and_nothing_left(self, ada, name):
        make, number = REFUSED[name]
        before = ada.kept()
        response = ada.upload(make())
        assert (response.status_code, response.json()["error_code"]) == (422, number)
        assert ada.kept() == before

    def test_heic_in_words_that_name_the_remedy(self, ada):
        message = ada.upload(image.heif(b"heic")).json()["message"]
        assert "Send JPEG instead" in message

    def test_too_many_bytes(self, ada):
        before = ada.kept()
        response = ada.upload(image.as_bytes(image.drawing()) + bytes(20_000_000))
        assert (response.status_code, response.json()["error_code"]) == (413, 17001)
        assert ada.kept() == before


class TestHarmless:
    @pytest.mark.parametrize("name", sorted(image.polyglots()))
    def test_a_polyglot_is_a_picture_and_nothing_else(self, ada, name):
        response = ada.upload(image.polyglots()[name], "page.html")
        if response.status_code == 422:
            assert response.json()["error_code"] == 17023
            return
        content = ada.http.get(response.json()["url"])
        assert content.headers["Content-Type"] == "image/webp"
        assert content.headers["X-Content-Type-Options"] == "nosniff"
        assert not any(part in content.content for part in (b"alert", b"script", b"<?php"))

    @pytest.mark.parametrize("form", image.FORMATS)
    def test_the_place_where_a_picture_was_taken_is_gone(self, ada, form):
        file = ada.upload(image.with_everything(form)).json()
        for url in (file["url"], *file["variants"].values()):
            assert image.SECRET not in ada.http.get(url).content

    def test_what_a_browser_would_run_is_saved_instead(self, ada):
        file = ada.upload(PDF, "paper.pdf", "attachment").json()
        headers = ada.http.get(file["url"]).headers
        assert headers["Content-Type"] == "application/pdf"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in headers["Content-Security-Policy"]

    @pytest.mark.parametrize(
        "given",
        [
            "../../../../etc/passwd",
            "..\\..\\windows\\win.ini",
            "/etc/passwd",
            "a\x00.png",
            "x" * 300 + ".png",
            "\u202egnp.exe",
            "شعار.png",
            "头像.png",
            "a\r\nSet-Cookie: a=b.png",
            ".htaccess",
            "CON",
            "",
        ],
    )
    def test_a_name_is_for_people_and_leads_nowhere(self, ada, given):
        before = ada.kept()
        body = (
            b'--x\r\nContent-Disposition: form-data; name="kind"\r\n\r\narticle-image\r\n'
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="'
            + given.replace("\\", "\\\\").encode()
            + b'"\r\nContent-Type: image/png\r\n\r\n'
            + image.as_bytes(image.drawing())
            + b"\r\n--x--\r\n"
        )
        form = {"Content-Type": "multipart/form-data; boundary=x"}
        response = ada.http.post("/api/v1/files", content=body, headers=form)
        if response.status_code != 201:
            assert response.status_code in {400, 422}
            assert response.json()["message"]
            return
        file = response.json()
        assert not set(file["name"]) & set("/\\\0\r\n\u202e")
        assert 0 < len(file["name"]) <= 120
        new = ada.kept() - before
        assert len(new) == 3
        assert all(file["id"] in path for path in new)
        disposition = unquote(ada.http.get(file["url"]).headers.get("Content-Disposition", ""))
        assert not set(disposition) & set("/\\\0\r\n\u202e")


class TestTransport:
    def _open(self, ada) -> socket.socket:
        return socket.create_connection(("127.0.0.1", ada.server.port), timeout=TIMEOUT)

    def _head(self, ada, *lines: str) -> bytes:
        fields = [
            "POST /api/v1/files HTTP/1.1",
            "Host: 127.0.0.1",
            f"Authorization: {ada.http.headers['Authorization']}",
            "Content-Type: multipart/form-data; boundary=x",
            *lines,
        ]
        return "\r\n".join([*fields, "", ""]).encode()

    def _body(self, content: bytes) -> bytes:
        return (
            b'--x\r\nContent-Disposition: form-data; name="kind"\r\n\r\narticle-image\r\n--x\r\n'
            b'Content-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
            + content
            + b"\r\n--x--\r\n"
        )

    def test_a_body_in_chunks_without_a_length_is_taken_or_refused_clearly(self, ada):
        body = self._body(image.as_bytes(image.drawing()))
        chunks = b"".join(
            b"%x\r\n%s\r\n" % (len(part), part)
            for part in (body[at : at + 50] for at in range(0, len(body), 50))
        )
        with closing(self._open(ada)) as connection:
            head = self._head(ada, "Transfer-Encoding: chunked", "Connection: close")
            connection.sendall(head + chunks + b"0\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        status = int(answer.split()[1])
        assert status in {201, 411}
        assert json.loads(answer.partition(b"\r\n\r\n")[2])

    def test_an_upload_that_breaks_off_leaves_nothing(self, ada):
        before = ada.kept()
        body = self._body(image.as_bytes(image.drawing(2000, 2000)) + bytes(1_000_000))
        with closing(self._open(ada)) as connection:
            connection.sendall(self._head(ada, f"Content-Length: {len(body)}"))
            connection.sendall(body[: len(body) // 2])
        assert ada.upload(b"").status_code == 422  # the server goes on
        deadline = time.monotonic() + DEADLINE
        while ada.kept() != before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert ada.kept() == before


def grown(group: int) -> int:
    """The largest memory that a process of a group has had, in bytes."""
    peaks = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(process.name)) == group:
                status = (process / "status").read_text()
                peaks += [int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line]
        except (OSError, ProcessLookupError):
            continue  # it has ended meanwhile
    return max(peaks) * 1024


def test_the_server_does_not_grow_with_what_it_is_sent(ada):
    ada.upload(image.as_bytes(image.drawing()))
    before = grown(ada.server.pid)
    large = image.as_bytes(image.drawing(6000, 4000), "WEBP", lossless=True, method=0)
    for content in (image.white_png(10_000, 10_000), image.animation("GIF", 101), large):
        for kind in ("article-image", "avatar"):
            ada.upload(content, kind=kind)
    ada.upload(image.as_bytes(image.drawing()) + bytes(30_000_000))
    assert grown(ada.server.pid) - before < 100_000_000


def test_the_server_does_not_grow_with_forms_of_many_parts_either(ada, is_long):
    texts = [("text", (None, "x" * 120_000)) for _ in range(250)]
    files = [("file", (f"{number}.png", bytes(499_000))) for number in range(62)]

    def send(number: int) -> int:
        response: httpx.Response = ada.http.post("/api/v1/files", files=(files, texts)[number % 2])
        return response.status_code

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ada.upload, [b""] * 64))  # every thread has its connection
        before = grown(ada.server.pid)
        assert set(pool.map(send, range(32 if is_long else 16))) == {413}
    assert grown(ada.server.pid) - before < 100_000_000
