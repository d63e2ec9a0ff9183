from __future__ import annotations

import io
from typing import Any

import pytest

from strongback.config import Settings
from strongback.web.edge import address_of, is_host
from strongback.web.http_app import HTTPApp
from strongback.web.request import current_request


def build(settings: Settings, **changes: Any) -> HTTPApp:
    app = HTTPApp("edge", settings.model_copy(update=changes), title="", version="")

    def see() -> dict[str, Any]:
        request = current_request()
        return {"address": request.remote_addr, "scheme": request.scheme, "host": request.host}

    def read() -> dict[str, Any]:
        return {"size": len(current_request().get_data())}

    app.add_url_rule("/see", view_func=see)
    app.add_url_rule("/read", view_func=read, methods=["POST"])
    return app


@pytest.fixture
def probe(settings: Settings, logs: Any) -> HTTPApp:
    return build(settings)


class TestHost:
    @pytest.mark.parametrize(
        "host",
        [
            "example.com",
            "EXAMPLE.com:8000",
            "127.0.0.1",
            "[::1]",
            "[2001:db8::1]:443",
            "web-1:8000",
            "a" * 63 + ".example",
            "web:",
            "xn--bcher-kva.example",
        ],
    )
    def test_of_one_host_is_taken(self, host):
        assert is_host(host)

    @pytest.mark.parametrize(
        "host",
        [
            "",
            " ",
            "a b",
            "a,b",
            "a/b",
            "a@b",
            "a:b",
            "a:99999",
            "a:-1",
            "::1",
            "[::1",
            "[:::::]",
            "[1.2.3.4.5]",
            "a?b",
            "a#b",
            "a\\b",
            "绿",
            "a%00",
            "a:80:80",
            "a:0",
            ".",
            "..",
            "a.",
            "a..b",
            ".a",
            "my_web:8000",
            "-a",
            "a-.b",
            "a~b",
            "256.1.1.1",
            "1.2.3.4.5",
            "[1.2.3.4]",
            "a" * 64 + ".example",
            ".".join(["a" * 50] * 5),
            "\x7f",
        ],
    )
    def test_of_none_or_of_two_is_not(self, host):
        assert not is_host(host)

    @pytest.mark.parametrize("host", [None, "", "a,b", "a/b", "\xff"])
    def test_that_is_missing_or_wrong_is_400(self, probe, host):
        response = probe.test_client().get("/see", environ_overrides={"HTTP_HOST": host})
        assert response.status_code == 400
        assert response.json["message"].startswith("The Host header is missing or names no host: ")

    def test_may_be_missing_from_http_1_0(self, probe):
        environ = {"HTTP_HOST": None, "SERVER_PROTOCOL": "HTTP/1.0"}
        assert probe.test_client().get("/see", environ_overrides=environ).status_code == 200

    def test_is_needed_by_what_follows_http_1_1(self, probe):
        environ = {"HTTP_HOST": None, "SERVER_PROTOCOL": "HTTP/1.2"}
        assert probe.test_client().get("/see", environ_overrides=environ).status_code == 400

    def test_that_a_trusted_proxy_names_is_checked_too(self, settings, logs):
        client = build(settings, web_proxies=1).test_client()
        asked = [
            client.get("/see", headers={"X-Forwarded-Host": host}).status_code
            for host in ("example.com", "a b")
        ]
        assert asked == [200, 400]


class Broken(io.BytesIO):
    """A body whose reading fails as a server's does."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def read(self, size: int | None = -1, /) -> bytes:
        raise self.error


def send(app: HTTPApp, body: io.BytesIO, **environ: Any) -> Any:
    given = {"wsgi.input": body, "wsgi.input_terminated": True} | environ
    return app.test_client().post("/read", environ_overrides=given)


class TestBody:
    @pytest.mark.parametrize("error", [OSError("cut"), ValueError("zz"), Exception("zz")])
    def test_of_broken_chunks_is_400_and_one_warning(self, probe, logs, error):
        response = send(probe, Broken(error), HTTP_TRANSFER_ENCODING="chunked")
        assert response.status_code == 400
        assert [entry["level"] for entry in logs.access] == ["WARNING"]
        assert not logs.error

    def test_of_whole_chunks_is_read(self, probe):
        response = send(probe, io.BytesIO(b"abc"), HTTP_TRANSFER_ENCODING="chunked")
        assert response.json == {"size": 3}

    def test_of_chunks_is_refused_where_the_server_hides_that_it_was_cut(self, probe):
        environ = {"HTTP_TRANSFER_ENCODING": "chunked", "SERVER_SOFTWARE": "Granian"}
        response = send(probe, io.BytesIO(b"abc"), **environ)
        assert response.status_code == 400
        assert "Content-Length" in response.json["message"]

    def test_shorter_than_it_said_is_400(self, probe):
        assert send(probe, io.BytesIO(b"abc"), CONTENT_LENGTH="4").status_code == 400

    def test_as_long_as_it_said_is_read(self, probe):
        assert send(probe, io.BytesIO(b"abcd"), CONTENT_LENGTH="4").json == {"size": 4}


class TestForwardedClient:
    @pytest.mark.parametrize(
        "node, address",
        [
            ("198.51.100.1", "198.51.100.1"),
            ("198.51.100.1:40001", "198.51.100.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:DB8:0::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ('"[2001:db8::1]:443"', "2001:db8::1"),
            (" 198.51.100.1 ", "198.51.100.1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("[::ffff:198.51.100.1]:40001", "198.51.100.1"),
            ("unknown", None),
            ("_hidden", None),
            ("", None),
            ("[", None),
            ("198.51.100.1:40001:1", None),
        ],
    )
    def test_is_an_address_without_a_port(self, node, address):
        assert address_of(node) == address

    @pytest.mark.parametrize("port", ["", ":40001", ":1"])
    def test_is_the_same_from_every_port(self, settings, logs, port):
        client = build(settings, web_proxies=1).test_client()
        response = client.get("/see", headers={"X-Forwarded-For": f"6.6.6.6, 198.51.100.1{port}"})
        assert response.get_json()["address"] == "198.51.100.1"

    def test_that_has_no_address_is_the_proxy(self, settings, logs):
        client = build(settings, web_proxies=1).test_client()
        response = client.get("/see", headers={"X-Forwarded-For": "unknown"})
        assert response.get_json()["address"] == "127.0.0.1"

    @pytest.mark.parametrize("sent, scheme", [("HTTPS", "https"), ("javascript", "http")])
    def test_has_a_scheme_of_http(self, settings, logs, sent, scheme):
        client = build(settings, web_proxies=1).test_client()
        response = client.get("/see", headers={"X-Forwarded-Proto": sent})
        assert response.get_json()["scheme"] == scheme
