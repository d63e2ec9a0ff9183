"""Calls one competitor's WSGI or ASGI callable in its own process: no server, no socket."""

from __future__ import annotations

import asyncio
import base64
import gc
import io
import sys
from importlib import import_module
from time import process_time_ns
from typing import Any

from benchmarks.http.case import CASES, HEADERS, Case
from benchmarks.http.contender import CONTENDERS
from benchmarks.question import serve_questions


class WSGI:
    """Calls a WSGI application with an environ as a server prepares it."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def once(self, case: Case, body: bytes) -> tuple[int, bytes]:
        status = []
        result = self._app(
            environ_of(case, body), lambda line, _headers, _info=None: status.append(line)
        )
        answer = b"".join(result)
        if hasattr(result, "close"):
            result.close()
        return int(status[0][:3]), answer

    def many(self, case: Case, count: int) -> int:
        app, prepared, body = self._app, environ_of(case, case.body), case.body

        def start_response(_line: str, _headers: Any, _info: Any = None) -> None:
            return None

        started = process_time_ns()
        for _ in range(count):
            environ = prepared.copy()
            environ["wsgi.input"] = io.BytesIO(body)
            result = app(environ, start_response)
            b"".join(result)
            if hasattr(result, "close"):
                result.close()
        return process_time_ns() - started


class ASGI:
    """Calls an ASGI application with a scope as a server prepares it, in one event loop."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._loop = asyncio.new_event_loop()

    def once(self, case: Case, body: bytes) -> tuple[int, bytes]:
        sent: list[dict[str, Any]] = []
        self._loop.run_until_complete(self._call(scope_of(case, body), body, sent.append))
        answer = b"".join(message.get("body", b"") for message in sent)
        return sent[0]["status"], answer

    async def _call(self, scope: dict[str, Any], body: bytes, take: Any) -> None:
        message = {"type": "http.request", "body": body, "more_body": False}

        async def receive() -> dict[str, Any]:
            return message

        async def send(part: dict[str, Any]) -> None:
            take(part)

        await self._app(scope, receive, send)

    def many(self, case: Case, count: int) -> int:
        return self._loop.run_until_complete(self._many(case, count))

    async def _many(self, case: Case, count: int) -> int:
        app, prepared = self._app, scope_of(case, case.body)
        message = {"type": "http.request", "body": case.body, "more_body": False}

        async def receive() -> dict[str, Any]:
            return message

        async def send(_part: dict[str, Any]) -> None:
            return None

        started = process_time_ns()
        for _ in range(count):
            await app(prepared.copy(), receive, send)
        return process_time_ns() - started


def environ_of(case: Case, body: bytes) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": case.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": case.path,
        "QUERY_STRING": "",
        "RAW_URI": case.path,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "benchmark",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "50000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    environ |= {"HTTP_" + name.upper().replace("-", "_"): value for name, value in HEADERS}
    if body:
        environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))}
    return environ


def scope_of(case: Case, body: bytes) -> dict[str, Any]:
    headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS]
    if body:
        headers.append((b"content-type", b"application/json"))
        headers.append((b"content-length", str(len(body)).encode()))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": case.method,
        "scheme": "http",
        "path": case.path,
        "raw_path": case.path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }


def main(name: str) -> None:
    contender = CONTENDERS[name]
    app = import_module(contender.module).create_app()
    driver = ASGI(app) if contender.is_asgi else WSGI(app)

    def answer(kind: str, case: str, count: int = 1, body: str = "") -> Any:
        if kind == "once":
            status, found = driver.once(CASES[case], body.encode())
            return {"status": status, "body": base64.b64encode(found).decode()}
        if kind == "warm":
            driver.many(CASES[case], count)
            gc.collect()
            gc.freeze()
            return None
        return driver.many(CASES[case], count)

    serve_questions(answer)


if __name__ == "__main__":
    main(sys.argv[1])
