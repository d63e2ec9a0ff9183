"""What Nginx with our configuration adds to the application: tried on Debian's Nginx."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from app.core.permission import Role
from tests.live import PASSWORD, LiveServer, create_user, serving
from tests.support.front import Front, run_front, slow_bodies

pytestmark = pytest.mark.usefixtures("nginx")
TIMEOUT = 60
"""Seconds; as long as a loaded machine may need."""
ERROR_KEYS = ["code", "error_code", "message", "request_id"]


@pytest.fixture(scope="module")
def server(nginx: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """The application, which trusts the one proxy."""
    with serving(tmp_path_factory.mktemp("server"), WEB_PROXIES="1") as started:
        yield started


@pytest.fixture(scope="module")
def front(server: LiveServer) -> Iterator[Front]:
    with run_front([server.port]) as started:
        yield started


@contextmanager
def silent_server() -> Iterator[int]:
    """A server that takes connections and never answers; gives its port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


@contextmanager
def hanging_up_server() -> Iterator[int]:
    """A server that resets each connection as soon as it has read something; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            with suppress(OSError):  # the listener's end
                while True:
                    connection = listener.accept()[0]
                    connection.recv(1)
                    connection.close()  # the rest is unread: a reset

        thread = threading.Thread(target=hang_up)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def check_error(response: httpx.Response, status: int, error_code: int) -> dict[str, Any]:
    error: dict[str, Any] = response.json()
    assert list(error) == ERROR_KEYS
    assert (response.status_code, error["code"], error["error_code"]) == (
        status,
        status,
        error_code,
    )
    assert response.headers["content-type"].startswith("application/json")
    assert response.headers["x-request-id"] == error["request_id"]
    assert response.headers["x-content-type-options"] == "nosniff"
    return error


@cache
def web() -> httpx.Client:
    """A client for all tests, whose requests have a connection each: to make one takes 40 ms."""
    return httpx.Client(headers={"Connection": "close"}, timeout=TIMEOUT)


def ask(port: int, method: str, path: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


@dataclass
class Article:
    """An article that its author reads and writes through Nginx."""

    url: str
    author: dict[str, str]

    def get(self, headers: dict[str, str] | None = None) -> httpx.Response:
        return web().get(self.url, headers=headers)

    def retitle(self, title: str, tag: str) -> httpx.Response:
        headers = self.author | {"If-Match": tag}
        return web().patch(self.url, json={"title": title}, headers=headers)


def write_article(server: LiveServer, front: Front) -> Article:
    """Publish one that is long enough to be compressed."""
    create_user(server.log.parent, "ada", Role.AUTHOR)
    api = f"{front.address}/api/v1"
    form = {"grant_type": "password", "username": "ada", "password": PASSWORD}
    token = web().post(f"{api}/auth/token", data=form).json()["access_token"]
    author = {"Authorization": f"Bearer {token}"}
    text = {"title": "Tea", "body": "Steep it. " * 500, "published": True}
    made = web().post(f"{api}/articles", json=text, headers=author)
    assert made.status_code == 201
    return Article(f"{api}/articles/tea", author)


class TestErrors:
    """Nginx's own answers have the application's shape and numbers."""

    def test_a_body_that_is_too_large(self, front):
        check_error(web().post(f"{front.address}/api/v1/users", content=b"x" * 2**21), 413, 10010)

    def test_an_archive_may_be_larger_than_other_bodies(self, front):
        """Nginx lets it through: it is the application that asks who is sending it."""
        address = f"{front.address}/api/v1/articles/import"
        for size, status in ((20 * 2**20, 401), (33 * 2**20, 413)):
            assert web().post(address, files={"file": b"x" * size}).status_code == status

    def test_an_archive_for_an_application_that_hangs_up(self):
        """The error is not measured by the size of what was sent with the request."""
        with (
            hanging_up_server() as port,
            run_front([port]) as front,
        ):
            address = f"{front.address}/api/v1/articles/import"
            response = web().post(address, files={"file": b"x" * 2**24})
        check_error(response, 502, 10017)

    def test_too_many_requests_at_once(self, server):
        with run_front([server.port], NGINX_CONNECTIONS="1") as front, slow_bodies(front, 1):
            response = web().get(f"{front.address}/livez")
        check_error(response, 429, 10014)
        assert int(response.headers["retry-after"]) >= 1

    def test_too_many_requests_in_a_row_are_slowed_down_before_they_are_refused(self, server):
        with (
            run_front([server.port], NGINX_RATE="1r/m") as front,
            httpx.Client(base_url=front.address) as client,
        ):
            statuses = [client.get("/livez").status_code for _ in range(200)]
        assert statuses == [200] * 200

    def test_an_application_that_is_not_there(self):
        with socket.socket() as listener:  # bound, and not listening: refused
            listener.bind(("127.0.0.1", 0))
            with run_front([listener.getsockname()[1]]) as front:
                response = web().get(f"{front.address}/livez")
        check_error(response, 502, 10017)
        assert int(response.headers["retry-after"]) >= 1

    def test_an_application_that_does_not_answer(self):
        with silent_server() as port, run_front([port], NGINX_TIMEOUT="1") as front:
            response = web().post(f"{front.address}/livez")
        check_error(response, 504, 10018)

    def test_an_address_that_is_too_long(self, front):
        check_error(web().get(f"{front.address}/{'a' * 20_000}"), 414, 10001)

    def test_what_is_not_http(self, front):
        with socket.create_connection(("127.0.0.1", front.port), 5) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: some\r\n\r\n")
            response = http.client.HTTPResponse(client)
            response.begin()
            error = json.loads(response.read())
        assert (response.status, error["code"], error["error_code"]) == (400, 400, 10001)

    def test_are_told_in_chinese_to_those_who_ask_for_it(self, front):
        response = web().post(
            f"{front.address}/x", content=b"x" * 2**21, headers={"Accept-Language": "zh-CN,en"}
        )
        assert check_error(response, 413, 10010)["message"] == "请求体过大。"

    def test_of_the_application_pass_as_they_are(self, front):
        response = web().get(f"{front.address}/api/v1/articles?page=0")
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == "query.page"


class TestHeaders:
    @pytest.mark.parametrize(
        "path", ["/livez", "/api/v1/articles", "/openapi.json", "/docs", "/nowhere"]
    )
    def test_head_tells_the_length_that_get_has_and_sends_nothing(self, server, front, path):
        for port in (server.port, front.port):
            got, body = ask(port, "GET", path)
            head, nothing = ask(port, "HEAD", path)
            assert (head.status, nothing) == (got.status, b"")
            assert head.getheader("Content-Length") == str(len(body))

    @pytest.mark.parametrize("path", ["/livez", "/api/v1/articles", "/docs", "/nowhere"])
    def test_security_headers_come_once(self, front, path):
        headers = web().get(front.address + path).headers
        names = [name for name, _ in headers.multi_items()]
        expected = {"x-content-type-options", "x-frame-options", "referrer-policy", "x-request-id"}
        assert expected <= set(names)
        # Vary is a list of names, to which Nginx adds a line of its own (RFC 9110, 5.3).
        once = [name for name in names if name != "vary"]
        assert sorted(set(once)) == sorted(once)
        varying = headers.get("vary", "").lower().split(", ")
        assert sorted(set(varying)) == sorted(varying)

    def test_the_server_says_neither_its_version_nor_who_is_behind_it(self, front):
        assert web().get(f"{front.address}/livez").headers["server"] == "nginx"
        assert web().get(f"{front.address}/{'a' * 20_000}").headers["server"] == "nginx"

    def test_a_harmless_request_id_goes_through_and_another_is_replaced(self, front):
        for body in (b"", b"x" * 2**21):  # answered by the application, and by Nginx
            kept, replaced = (
                web().post(f"{front.address}/x", content=body, headers={"X-Request-ID": given})
                for given in ("abc-1.2_3", 'x" injected')
            )
            assert kept.headers["x-request-id"] == "abc-1.2_3"
            assert re.fullmatch("[0-9a-f]{32}", replaced.headers["x-request-id"])

    def test_a_large_answer_is_compressed_and_its_tag_still_opens_a_write(self, front):
        response = web().get(f"{front.address}/openapi.json")
        assert response.headers["content-encoding"] == "gzip"
        again = web().get(
            f"{front.address}/openapi.json", headers={"If-None-Match": response.headers["etag"]}
        )
        assert again.status_code == 304

    def test_the_weak_tag_of_a_compressed_answer_opens_one_write(self, server, front):
        """Nginx weakens the tag (RFC 9110, 8.8.1); it still names one state of the resource."""
        article = write_article(server, front)
        weak = article.get().headers["etag"]
        assert weak.startswith('W/"')
        assert article.get({"If-None-Match": weak}).status_code == 304
        written = [article.retitle(f"Title {n}", weak).status_code for n in range(2)]
        assert written == [200, 412]
        assert article.get({"If-None-Match": weak}).status_code == 200


class TestClientAddress:
    """The application is told who is asking, and nobody can make it believe somebody else."""

    def remote_addr(self, server: LiveServer, front: Front, forwarded: str) -> str:
        marker = f"/nowhere-{time.monotonic_ns()}"
        web().get(front.address + marker, headers={"X-Forwarded-For": forwarded})
        events = (json.loads(line) for line in server.log.read_text().splitlines())
        return str(next(e["remote_addr"] for e in events if e.get("path") == marker))

    def test_a_forged_one_is_dropped(self, server, front):
        assert self.remote_addr(server, front, "203.0.113.9") == "127.0.0.1"

    def test_a_listed_load_balancers_word_counts(self, server):
        with run_front([server.port], NGINX_TRUSTED_PROXIES="127.0.0.0/8") as behind:
            assert self.remote_addr(server, behind, "1.1.1.1, 203.0.113.9") == "203.0.113.9"

    @pytest.mark.parametrize("path", ["/metrics", "/readyz", "/flower/"])
    def test_the_inside_is_for_nobody_unless_listed(self, front, path):
        check_error(web().get(front.address + path), 404, 10004)
        assert web().get(f"{front.address}/livez").status_code == 200

    @pytest.mark.parametrize("client", [{}, {"X-Forwarded-For": "203.0.113.9"}])
    def test_a_load_balancer_that_is_not_listed_opens_nothing(self, server, client):
        """It may stand in a network that is: what came through it is anybody's."""
        with run_front([server.port], NGINX_OPERATORS="127.0.0.0/8") as behind:
            answer = web().get(f"{behind.address}/metrics", headers=client)
        assert answer.status_code == (404 if client else 200)

    def test_a_listed_address_behind_a_listed_load_balancer_sees_the_inside(self, server):
        operators = {"NGINX_OPERATORS": "203.0.113.9", "NGINX_TRUSTED_PROXIES": "127.0.0.0/8"}
        with run_front([server.port], **operators) as behind:
            answers = {
                client: web()
                .get(f"{behind.address}/readyz", headers={"X-Forwarded-For": client})
                .status_code
                for client in ("203.0.113.9", "203.0.113.8", "10.0.0.1", "203.0.113.9, 10.0.0.1")
            }
        assert answers == {
            "203.0.113.9": 200,
            "203.0.113.8": 404,
            "10.0.0.1": 404,
            "203.0.113.9, 10.0.0.1": 404,
        }


class TestLog:
    def test_one_json_line_per_request_with_its_id(self, front):
        response = web().get(f"{front.address}/api/v1/articles", headers={"User-Agent": 'a "b"\\'})
        request_id = response.headers["x-request-id"]
        event = next(e for e in front.logged(request_id) if e["request_id"] == request_id)
        assert (event["status"], event["path"], event["user_agent"]) == (
            200,
            "/api/v1/articles",
            'a "b"\\',
        )
        assert event["stream"] == "nginx"

    def test_probes_are_left_out(self, front):
        with httpx.Client(base_url=front.address) as client:  # one connection, so in this order
            client.get("/livez")
            request_id = client.get("/nowhere").headers["x-request-id"]
        assert "/livez" not in {event["path"] for event in front.logged(request_id)}


@pytest.fixture(scope="module")
def files(server: LiveServer) -> Iterator[Front]:
    """Nginx with a folder of static files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "static"
        folder.mkdir()
        Path(name).chmod(0o755)  # its workers are another user
        (folder / "page.0123abcd.css").write_text("a { color: red }")
        (folder / "page.0123abcd.css.gz").write_bytes(gzip.compress(b"a { color: red }"))
        (folder / "page.0123abcd.css.br").write_bytes(b"as if it were Brotli")
        (folder / "plain.txt").write_text("plain")
        with run_front([server.port], NGINX_STATIC_ROOT=name) as front:
            yield front


class TestStaticFiles:
    def get(self, front: Front, name: str, encoding: str) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=5)
        connection.request("GET", f"/static/{name}", headers={"Accept-Encoding": encoding})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response, body

    @pytest.mark.parametrize(
        "accepted, encoding",
        [
            ("identity", None),
            ("gzip", "gzip"),
            ("gzip, br", "br"),
            ("br;q=1.0", "br"),
            ("br;q=0, gzip", "gzip"),
        ],
    )
    def test_are_sent_as_the_client_takes_them_under_their_own_type(
        self, files, accepted, encoding
    ):
        response, body = self.get(files, "page.0123abcd.css", accepted)
        assert response.status == 200
        assert response.getheader("Content-Encoding") == encoding
        assert response.getheader("Content-Type") == "text/css; charset=utf-8"
        assert response.getheader("Vary") == "Accept-Encoding"
        assert body.startswith({"br": b"as if", "gzip": b"\x1f\x8b", None: b"a {"}[encoding])

    def test_are_kept_for_ever_where_their_name_says_what_they_hold(self, files):
        hashed, _ = self.get(files, "page.0123abcd.css", "identity")
        plain, _ = self.get(files, "plain.txt", "identity")
        assert "immutable" in (hashed.getheader("Cache-Control") or "")
        assert plain.getheader("Cache-Control") == "public, max-age=300"

    def test_are_asked_of_the_application_where_there_is_no_file(self, files):
        response, body = self.get(files, "missing.css", "identity")
        assert response.status == 404
        assert list(json.loads(body)) == ERROR_KEYS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate of localhost, signed by itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    subprocess.run([*command, *subject, *files], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def secure(server: LiveServer, certificate: Path) -> Iterator[Front]:
    """Nginx with a certificate."""
    with run_front([server.port], NGINX_TLS_FOLDER=str(certificate)) as front:
        yield front


class TestTLS:
    def test_a_browser_keeps_its_session_in_a_cookie_that_no_neighbour_can_plant(
        self, secure: Front, browser: Browser
    ):
        address = f"https://localhost:{secure.tls_port}"
        with browser.new_context(base_url=address, ignore_https_errors=True) as context:
            account = {"username": "tls", "password": PASSWORD}
            assert context.request.post("/api/v1/users", data=account).status == 201
            page = context.new_page()
            page.goto("/sign-in?next=/docs")
            page.get_by_label("Username").fill("tls")
            page.get_by_label("Password", exact=True).fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("/docs")
            expect(page.locator("#account")).to_have_text("tls")
            (cookie,) = context.cookies()
            flags = cookie["secure"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]
            assert (cookie["name"], flags) == (
                "__Host-Http-strongback",
                (True, True, "Strict", "/"),
            )
            call = "import('session').then((it) => it.request('/api/v1/users/me'))"
            assert page.evaluate(f"{call}.then((it) => it.status)") == 200

    def handshake(self, front: Front, *protocols: str) -> ssl.SSLSocket:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(list(protocols))
        plain = socket.create_connection(("127.0.0.1", front.tls_port), 5)
        return context.wrap_socket(plain, server_hostname="localhost")

    def test_speaks_http_2(self, secure):
        with self.handshake(secure, "h2", "http/1.1") as connection:
            assert connection.selected_alpn_protocol() == "h2"

    def test_tells_the_application_and_browsers_that_it_is_secure(self, secure, certificate):
        address = f"https://localhost:{secure.tls_port}"
        trusting = ssl.create_default_context(cafile=certificate / "fullchain.pem")
        response = httpx.get(f"{address}/nowhere", verify=trusting)
        assert response.headers["strict-transport-security"].startswith("max-age=")
        plain = web().get(f"{secure.address}/nowhere")
        assert "strict-transport-security" not in plain.headers


class TestWebSocket:
    def test_an_upgrade_reaches_the_realtime_server(self, server):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            realtime = f"127.0.0.1:{listener.getsockname()[1]}"
            with run_front([server.port], NGINX_REALTIME=realtime) as front:
                client = socket.create_connection(("127.0.0.1", front.port), 5)
                client.sendall(
                    b"GET /connection/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                    b"Connection: Upgrade\r\nSec-WebSocket-Key: abc\r\n\r\n"
                )
                inner, _ = listener.accept()
                head = inner.recv(65536).lower()
                inner.sendall(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    b"Connection: Upgrade\r\n\r\n"
                )
                answered = client.recv(65536)
                client.sendall(b"ping")
                assert inner.recv(16) == b"ping"
                inner.sendall(b"pong")
                assert client.recv(16) == b"pong"
                for end in (client, inner):
                    end.close()
        assert b"upgrade: websocket" in head
        assert b"connection: upgrade" in head
        assert answered.startswith(b"HTTP/1.1 101 ")

    def test_many_of_one_address_come_back_at_once(self, server):
        """An office behind one address: its zone is not that of requests."""
        rate = {"NGINX_RATE": "1r/s", "NGINX_CONNECTIONS": "2", "NGINX_SOCKETS": "50"}
        realtime = f"127.0.0.1:{server.port}"
        with run_front([server.port], NGINX_REALTIME=realtime, **rate) as front:
            address = f"{front.address}/connection/websocket"
            statuses = [web().get(address).status_code for _ in range(60)]
        assert statuses.count(429) in range(1, 11), "only those beyond the bound"
        assert statuses[:50].count(429) == 0

    def test_without_such_a_server_is_an_error_of_the_one_shape(self, server):
        with run_front([server.port], NGINX_REALTIME="127.0.0.1:1") as front:
            check_error(web().get(f"{front.address}/connection/websocket"), 502, 10017)
