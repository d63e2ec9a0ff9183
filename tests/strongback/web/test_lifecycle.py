from __future__ import annotations

import re
import threading
from typing import Any

import pytest
import structlog
from flask import abort

from strongback.config import Environment, Settings
from strongback.web.http_app import HTTPApp
from strongback.web.request import current_request
from tests.web_fixture import Logs

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def build(settings: Settings, **changes: Any) -> HTTPApp:
    app = HTTPApp("probe", settings.model_copy(update=changes), title="", version="")

    def see() -> dict[str, Any]:
        request = current_request()
        return {"address": request.remote_addr, "url": request.url, "secure": request.is_secure}

    def nothing() -> Any:
        return None

    def fail() -> Any:
        raise ValueError("wrong")

    app.add_url_rule("/see", view_func=see)
    app.add_url_rule("/things/<name>", "things", lambda name: {"name": name})
    app.add_url_rule("/nothing", "nothing", nothing)
    app.add_url_rule("/conflict", "conflict", lambda: abort(409))
    app.add_url_rule("/fail", view_func=fail)
    return app


@pytest.fixture
def probe(settings: Settings, logs: Logs) -> HTTPApp:
    return build(settings)


class TestRequestID:
    def test_is_made_where_none_came(self, probe):
        response = probe.test_client().get("/see")
        assert re.fullmatch(r"[0-9a-f]{32}", response.headers["X-Request-ID"])

    def test_is_another_for_each_request(self, probe):
        client = probe.test_client()
        assert len({client.get("/see").headers["X-Request-ID"] for _ in range(10)}) == 10

    @pytest.mark.parametrize("given", ["abc", "A-b_c.9", "0", "x" * 64])
    def test_is_taken_over(self, probe, given):
        response = probe.test_client().get("/see", headers={"X-Request-ID": given})
        assert response.headers["X-Request-ID"] == given

    @pytest.mark.parametrize(
        "given",
        [
            "",
            " ",
            "x" * 65,
            "a b",
            "a\tb",
            "a;b",
            "a/b",
            "<b>",
            "é",
            "a=b",
            "{x}",
            "%0a",
            "\u0661",
            "a,b",
            '"',
            "\x7f",
            "\x1b[2K",
        ],
    )
    def test_a_forged_one_is_replaced(self, probe, given):
        environ = {"HTTP_X_REQUEST_ID": given}
        response = probe.test_client().get("/see", environ_overrides=environ)
        assert re.fullmatch(r"[0-9a-f]{32}", response.headers["X-Request-ID"])

    def test_cannot_forge_a_header_or_a_log_entry(self, probe, logs):
        forged = "a\r\nSet-Cookie: a=b\r\n\r\n{}"
        environ = {"HTTP_X_REQUEST_ID": forged}
        response = probe.test_client().get("/see", environ_overrides=environ)
        assert "Set-Cookie" not in response.headers
        assert [entry["event"] for entry in logs.access] == ["request"]

    def test_is_in_the_error_and_in_both_logs(self, probe, logs):
        response = probe.test_client().get("/fail", headers={"X-Request-ID": "abc"})
        assert response.json["request_id"] == "abc"
        assert logs.access[0]["request_id"] == "abc"
        assert logs.error[0]["request_id"] == "abc"

    def test_does_not_reach_the_next_request(self, probe, logs):
        """What one request bound to the log is gone when its thread serves another."""

        def bind() -> Any:
            structlog.contextvars.bind_contextvars(user="ada")

        probe.add_url_rule("/bind", view_func=bind)
        client = probe.test_client()
        client.get("/bind", headers={"X-Request-ID": "abc"})
        client.get("/see")
        first, second = logs.access
        assert first["user"] == "ada"
        assert "user" not in second
        assert second["request_id"] != "abc"

    def test_threads_do_not_mix_theirs(self, probe, logs):
        barrier = threading.Barrier(4)

        def wait() -> dict[str, str]:
            barrier.wait(10)
            structlog.get_logger().warning("waited")
            return {"id": current_request().id}

        probe.add_url_rule("/wait", view_func=wait)

        def ask(name: str) -> None:
            probe.test_client().get("/wait", headers={"X-Request-ID": name})

        threads = [threading.Thread(target=ask, args=[f"id-{number}"]) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        expected = [f"id-{number}" for number in range(4)]
        assert sorted(entry["request_id"] for entry in logs.access) == expected
        assert sorted(entry["request_id"] for entry in logs.named("waited")) == expected


class TestHeaders:
    @pytest.mark.parametrize(
        "method, path, status",
        [
            ("GET", "/see", 200),
            ("HEAD", "/see", 200),
            ("OPTIONS", "/see", 200),
            ("GET", "/nothing", 204),
            ("GET", "/nowhere", 404),
            ("POST", "/see", 405),
            ("GET", "/conflict", 409),
            ("GET", "/fail", 500),
        ],
    )
    def test_are_on_every_status(self, probe, method, path, status):
        response = probe.test_client().open(path, method=method)
        assert response.status_code == status
        assert {name: response.headers.getlist(name) for name in HEADERS} == {
            name: [value] for name, value in HEADERS.items()
        }

    def test_are_on_a_304(self, probe):
        client = probe.test_client()
        response = client.get("/see", headers={"If-None-Match": "*"})
        assert response.status_code == 304
        assert all(response.headers[name] == value for name, value in HEADERS.items())

    @pytest.mark.parametrize(
        "environment, scheme, sent",
        [
            (Environment.PRODUCTION, "https", True),
            (Environment.PRODUCTION, "http", False),
            (Environment.DEVELOPMENT, "https", False),
        ],
    )
    def test_https_is_insisted_on_where_it_is_used(self, settings, logs, environment, scheme, sent):
        app = build(settings, app_env=environment)
        response = app.test_client().get("/see", base_url=f"{scheme}://localhost")
        assert ("Strict-Transport-Security" in response.headers) is sent

    def test_the_server_does_not_name_itself(self, probe):
        assert "Server" not in probe.test_client().get("/see").headers


class TestAccessLog:
    @pytest.mark.parametrize("path", ["/see", "/nothing", "/nowhere", "/conflict", "/fail"])
    def test_has_one_event_for_each_request(self, probe, logs, path):
        probe.test_client().get(path)
        assert len(logs.access) == 1

    def test_tells_what_was_asked_and_answered(self, probe, logs):
        response = probe.test_client().get("/things/a?secret=1")
        (entry,) = logs.access
        assert entry["duration_ms"] > 0
        assert {
            "event": "request",
            "level": "INFO",
            "method": "GET",
            "route": "/things/<name>",
            "path": "/things/a",
            "status": 200,
            "bytes": len(response.data),
            "remote_addr": "127.0.0.1",
            "request_id": response.headers["X-Request-ID"],
        }.items() <= entry.items()

    def test_has_no_query(self, probe, logs):
        """A query may hold what nobody should read in a log."""
        probe.test_client().get("/see?token=hunter2")
        assert "hunter2" not in str(logs.access)

    @pytest.mark.parametrize(
        "path, level", [("/see", "INFO"), ("/nowhere", "WARNING"), ("/fail", "ERROR")]
    )
    def test_has_the_level_of_the_status(self, probe, logs, path, level):
        probe.test_client().get(path)
        assert logs.access[0]["level"] == level

    def test_an_address_that_nobody_serves_is_unmatched(self, probe, logs):
        probe.test_client().get("/nowhere/at/all")
        assert logs.access[0]["route"] == "unmatched"

    @pytest.mark.parametrize("path", ["/%0d%0a2026-01-01 forged", "/%1b[2K", "/%e2%80%a8x", "/%ff"])
    def test_a_path_cannot_forge_an_entry(self, probe, logs, path):
        probe.test_client().get(path)
        assert len(logs.access) == 1

    @pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
    def test_probes_are_left_out(self, small_app, logs, path):
        small_app.test_client().get(path)
        assert logs.access == []


class TestProxies:
    FORGED = "6.6.6.6, 10.0.0.9, 10.0.0.1"

    @pytest.mark.parametrize(
        "count, address", [(0, "127.0.0.1"), (1, "10.0.0.1"), (2, "10.0.0.9"), (3, "6.6.6.6")]
    )
    def test_as_many_addresses_are_believed(self, settings, logs, count, address):
        app = build(settings, web_proxies=count)
        seen: Any = app.test_client().get("/see", headers={"X-Forwarded-For": self.FORGED}).json
        assert seen["address"] == address
        assert logs.access[0]["remote_addr"] == address

    @pytest.mark.parametrize("count", [1, 2])
    def test_without_the_header_it_is_the_peers(self, settings, logs, count):
        seen: Any = build(settings, web_proxies=count).test_client().get("/see").json
        assert seen["address"] == "127.0.0.1"

    def test_fewer_addresses_than_proxies_are_not_believed(self, settings, logs):
        """Who reaches the application past a proxy must not choose an address."""
        app = build(settings, web_proxies=2)
        seen: Any = app.test_client().get("/see", headers={"X-Forwarded-For": "6.6.6.6"}).json
        assert seen["address"] == "127.0.0.1"

    @pytest.mark.parametrize("count, secure", [(0, False), (1, True)])
    def test_the_scheme_is_believed_from_a_proxy_alone(self, settings, logs, count, secure):
        app = build(settings, web_proxies=count)
        seen: Any = app.test_client().get("/see", headers={"X-Forwarded-Proto": "https"}).json
        assert seen["secure"] is secure

    @pytest.mark.parametrize("count, host", [(0, "localhost"), (1, "example.com")])
    def test_the_host_is_believed_from_a_proxy_alone(self, settings, logs, count, host):
        app = build(settings, web_proxies=count)
        seen: Any = app.test_client().get("/see", headers={"X-Forwarded-Host": "example.com"}).json
        assert seen["url"] == f"http://{host}/see"

    @pytest.mark.parametrize("value", ["", ",", " , ", "rubbish", "1" * 5000, "<script>", "é"])
    def test_a_hostile_value_is_no_error(self, settings, logs, value):
        app = build(settings, web_proxies=1)
        names = (
            "HTTP_X_FORWARDED_FOR",
            "HTTP_X_FORWARDED_HOST",
            "HTTP_X_FORWARDED_PORT",
            "HTTP_X_FORWARDED_PROTO",
        )
        response = app.test_client().get("/see", environ_overrides=dict.fromkeys(names, value))
        assert response.status_code < 500


def test_a_failure_to_account_is_logged_and_the_response_stays(probe, logs):
    def forget() -> dict[str, str]:
        del current_request().started_ns
        return {"drink": "tea"}

    probe.add_url_rule("/forget", view_func=forget)
    response = probe.test_client().get("/forget")
    assert (response.status_code, response.json) == (200, {"drink": "tea"})
    assert [entry["event"] for entry in logs.error] == ["request_not_accounted"]
    assert "started_ns" in logs.error[0]["exception"]
