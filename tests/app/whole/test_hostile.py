"""Requests that nobody sends by accident: none is answered 500, each error has the one shape."""

from __future__ import annotations

import io
import json
import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from typing import Annotated, Any, Literal
from urllib.parse import quote

import pytest
from pydantic import BaseModel, Field

from strongback.app import Strongback
from strongback.exceptions import CATALOGUE
from strongback.schema import (
    FieldProblem,
    PageQuery,
    RequestBody,
    RequestForm,
    RequestPath,
    RequestQuery,
    Schema,
)
from strongback.web import APIBlueprint, public
from tests.app.article_library import ArticleLibrary
from tests.live import LiveServer, serving
from tests.web_fixture import logs, small_app

__all__ = ["logs", "small_app"]

SEED = 20260101
OVER_SOCKETS = 400


class Body(RequestBody):
    title: Annotated[str, Field(max_length=50)]
    count: int = 0
    ratio: float = 0.0
    tags: list[str] = Field(default=[])
    kind: Literal["a", "b"] = "a"
    anything: Any = None


class Form(RequestForm):
    username: Annotated[str, Field(max_length=50)]
    password: str
    age: int | None = None
    tags: list[str] = Field(default=[])


class Query(RequestQuery):
    page: Annotated[int, Field(ge=1)] = 1
    ratio: float | None = None
    tags: list[str] = Field(default=[])


class Path(RequestPath):
    number: Annotated[int, Field(ge=1)]


class Header(BaseModel):
    x_level: int = 0
    x_name: Annotated[str, Field(max_length=20)] | None = None


class Echo(Schema):
    """What the view was given."""

    seen: dict[str, Any]


def declare_probes(app: Strongback) -> None:
    """A route for each part of a request; each gives back what it was given."""
    api = APIBlueprint("hostile", __name__, url_prefix="/probe")

    @api.post("/body", responses={201: Echo})
    @public
    def read_body(body: Body) -> tuple[dict[str, Any], int]:
        """Body."""
        return {"seen": body.model_dump()}, 201

    @api.put("/form", responses={200: Echo})
    @public
    def read_form(form: Form) -> dict[str, Any]:
        """Form."""
        return {"seen": form.model_dump()}

    @api.get("/query", responses={200: Echo})
    @public
    def read_query(query: Query) -> dict[str, Any]:
        """Query."""
        return {"seen": query.model_dump()}

    @api.get("/header", responses={200: Echo})
    @public
    def read_header(header: Header) -> dict[str, Any]:
        """Header."""
        return {"seen": header.model_dump()}

    @api.patch("/all/<number>", responses={200: Echo})
    @public
    def read_all(path: Path, query: PageQuery, header: Header, body: Body) -> dict[str, Any]:
        """Everything."""
        parts = {"path": path, "query": query, "header": header, "body": body}
        return {"seen": {name: part.model_dump() for name, part in parts.items()}}

    app.register_api(api)


# What requests are made of ------------------------------------------------------------------------

# Not /metrics, which reads nothing of a request and takes long after so many of them.
ROUTES = [
    "/api/v1/users",
    "/api/v1/users/ada",
    "/api/v1/articles",
    "/api/v1/articles/first",
    "/api/v1/articles/first/comments",
    "/livez",
    "/readyz",
    "/openapi.json",
    "/docs",
    "/static/swagger/images/swagger.svg",
    "/static/strongback/docs.js",
    "/probe/body",
    "/probe/form",
    "/probe/query",
    "/probe/header",
    "/probe/all/7",
]
METHODS = [
    "GET",
    "GET",
    "GET",
    "HEAD",
    "OPTIONS",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "TRACE",
    "BREW",
    "get",
    "X" * 50,
    "PROPFIND",
    "CONNECT",
]
TEXTS = [
    "",
    " ",
    "0",
    "-1",
    "1e999",
    "9" * 5000,
    "NaN",
    "Infinity",
    "null",
    "true",
    '"quoted"',
    "12345678",
    "[" * 3000,
    '{"a":' * 3000,
    "\x00",
    "a\x00b",
    "\r\nSet-Cookie: a=b",
    "\u2028",
    "\u202e",
    "😀",
    "中文",
    "e\u0301",
    "' OR 1=1 --",
    "1; DROP TABLE user",
    "%",
    "%s%n{0}{}",
    "{0.__class__}",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "${jndi:ldap://x}",
    "\\",
    "x" * 10_000,
    "2026-01-01",
    "ÿþ",
    "1_000",
    "٣",
    "0x10",
    "+1",
    "1.0",
]
PERCENT = [
    "%",
    "%z",
    "%00",
    "%0d%0a",
    "%ff",
    "%c0%80",
    "%ed%a0%80",
    "%u0041",
    "%25%25",
    "%2e%2e%2f",
    "%2F",
    "%5c",
    "%F0%9F%98%80",
    "+",
    ";",
    "%3f",
    "%23",
]
CURSORS = [
    "",
    "x",
    "====",
    "bnVsbA",
    "WzEsMV0",
    "W10",
    "WyIyMDI2LTAxLTAxVDAwOjAwOjAwKzAwOjAwIiwxXQ",
    "WzFlOTk5LDFd",
    "W05hTiwxXQ",
    "WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzIzOjU5IiwxXQ",
    "A" * 512,
    "A" * 513,
    "WzEwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAsMV0",
]
NAMES = [
    "page",
    "page_size",
    "cursor",
    "tag",
    "author",
    "language",
    "sort",
    "ratio",
    "tags",
    "q",
    "",
    "page[]",
    "__proto__",
    "a" * 300,
    "\x00",
    "%",
    "page.x",
    "class",
]
FIELDS = ["title", "count", "ratio", "tags", "kind", "anything", "username", "age", "more"]
SCALARS: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**31,
    2**63,
    2**64,
    -(2**63) - 1,
    10**400,
    1e308,
    "",
    "a",
    "12",
    "\x00",
    "😀",
    "x" * 60,
    [],
    {},
    [[]],
    {"a": {}},
]
RAW_BODIES = [
    b"",
    b"{",
    b"[" * 50_000,
    b'{"a":' * 50_000,
    b'{"title": "a", "anything": ' + b"[" * 600 + b"]" * 600 + b"}",
    b'{"title": "\\ud800"}',
    b'{"\\udfff": 1}',
    b'{"title": NaN}',
    b'{"title": "a", "ratio": Infinity}',
    b'{"title": "a", "anything": -Infinity}',
    b'{"title": "a", "anything": 1e999}',
    b'{"title": "a", "ratio": -1e999}',
    b'{"title": "a", "count": ' + b"9" * 20_000 + b"}",
    b'{"title": "a", "anything": ' + b"9" * 4000 + b"}",
    b'{"title": "a", "count": 1e2}',
    b'{"title": "\x00"}',
    b'{"title": "\\u0000"}',
    '{"title": "中文"}'.encode("gbk"),
    '{"title": "a"}'.encode("utf-16"),
    '{"title": "a"}'.encode("utf-32-le"),
    b'\xef\xbb\xbf{"title": "a"}',
    b'{"title": "\xc0\x80"}',
    b'{"title": "\xed\xa0\x80"}',
    b"\xff" * 1000,
    b'"{\\"title\\": \\"a\\"}"',
    b'{"title": "a", "title": 1}',
    b'{"title": "a"}' * 2,
    b'{"title": "a"} //',
    b"null",
    b"[1]",
    b"username=12345678&password=%22bob%22",
    b"username=%ff&password=%00&age=1e5",
    b"username=a&username=b&password=" + b"[" * 5000,
    b"&" * 3000,
    b"=" * 3000,
    b"&".join(b"a%d=1" % number for number in range(3000)),
    b'--x\r\nContent-Disposition: form-data; name="username"\r\n\r\na\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="\xff"; filename="../a"\r\n\r\n\0\r\n--x--\r\n',
    b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n",
    b"--x\r\n" + b"A: b\r\n" * 3000,
    b"--x\r\n\r\n--x\r\n--x",
]
CONTENT_TYPES = [
    "application/json",
    "application/json",
    "application/json",
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data; boundary=x",
    "application/json; charset=utf-16",
    "application/json;" * 100,
    "application/x-www-form-urlencoded; charset=gbk",
    "multipart/form-data",
    "multipart/form-data; boundary=",
    "multipart/form-data; boundary=" + "x" * 5000,
    'multipart/form-data; boundary="',
    "multipart/form-data; boundary=\xff",
    "text/plain",
    "",
    "/",
    ";;;",
    "\xff\xfe",
    "application/json\x00",
    "a" * 5000,
]
FITTING = [
    ("/body", "POST", "application/json"),
    ("/form", "PUT", "application/x-www-form-urlencoded"),
    ("/all", "PATCH", "application/json"),
]
HEADERS: dict[str, list[str]] = {
    "Accept": [
        "*/*",
        "",
        ",,,",
        "application/problem+json",
        "application/problem+json;q=x",
        "text/html;q=1e999",
        "*/*;q=-1",
        "a" * 5000,
        "a/b;" * 500,
        "\xff",
        ";q=0",
        "application/json;q=0",
    ],
    "Accept-Language": [
        "zh",
        "zh-CN,en;q=0.5",
        "",
        "-",
        "*",
        "x" * 5000,
        "en;q=nan",
        "zh_Hans_CN",
        "\xff\xfe",
        "i-klingon",
        "a-" * 500,
        "en;q=1e9999",
    ],
    "Accept-Encoding": ["gzip;q=x", "\xff", "*;q=0"],
    "If-None-Match": [
        "*",
        '"',
        'W/"',
        '""',
        '"a' * 500,
        "W/W/W/",
        '"a", *',
        "\xff",
        ",",
        "x" * 5000,
        '"\x00"',
    ],
    "If-Match": ["*", '"x"', "\xff"],
    "If-Modified-Since": [
        "",
        "x",
        "0",
        "-1",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Fri, 02 Jan 99999999999999999999 03:04:05 GMT",
        "Fri, 02 Jan 2026 03:04:05 +9999999999",
        "9" * 5000,
        "\xff",
        "Thu, 30 Feb 2026 00:00:00 GMT",
    ],
    "If-Unmodified-Since": ["x"],
    "If-Range": ['"x"', "x"],
    "Range": [
        "bytes=0-",
        "bytes=-1",
        "bytes=5-1",
        "bytes=" + "0-1," * 1000,
        "items=1-2",
        "bytes=99999999999999999999-",
        "\xff",
        "bytes=0-0,-1",
    ],
    "X-Request-ID": ["", "a", "x" * 65, "a b", "\xff", "\x1b[2K", "../..", "{}"],
    "X-Level": ["1", "x", "9" * 5000, "", "\xff", "1e5", "\x00"],
    "X-Name": ["a", "x" * 21, "\xff", "\u00e9"],
    "X-Forwarded-For": ["6.6.6.6", "", ",", "x" * 5000, "\xff"],
    "X-Forwarded-Proto": ["https", "javascript", ""],
    "X-HTTP-Method-Override": ["DELETE"],
    "Host": ["example.com", "", "a b", "[::1", "x" * 300, "localhost:99999", "\xff", "a/b", "a@b"],
    "Cookie": ["a=b", "=" * 1000, "\xff", ";" * 1000, 'a="\\'],
    "Authorization": [
        "Basic x",
        "Basic " + "A" * 5000,
        "Bearer",
        "Bearer \xff",
        "Digest a=b",
        "",
        ":" * 100,
    ],
    "Content-Encoding": ["gzip", "identity", "x", ""],
    "Transfer-Encoding": ["chunked", "x"],
    "Expect": ["100-continue", "x"],
    "Content-Length": ["-1", "x", "0", "1", "99999999999999999999", "9" * 5000, "", "+5", "1_0"],
    "Forwarded": ["for=" + "x" * 3000],
    "Upgrade": ["websocket"],
    "Origin": ["null", "\xff"],
    "Referer": ["\xff"],
    "User-Agent": ["", "\xff", "x" * 5000],
}


class Hostility:
    """Makes requests from a seed: the same ones every time."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def environ(self) -> dict[str, Any]:
        """A WSGI environ such as Gunicorn would hand over for the request."""
        chance = self.random
        body = self.body() if chance.random() < 0.6 else b""
        environ: dict[str, Any] = {
            "REQUEST_METHOD": chance.choice(METHODS),
            "SCRIPT_NAME": "",
            "PATH_INFO": self.path(),
            "QUERY_STRING": self.query(),
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "localhost",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": chance.choice(CONTENT_TYPES),
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if chance.random() < 0.8:
            environ |= self.fitting(environ["PATH_INFO"])
        for name, value in self.headers():
            key = name.upper().replace("-", "_")
            environ[key if key in environ else f"HTTP_{key}"] = value
        return environ

    def fitting(self, path: str) -> dict[str, str]:
        """The method and type that reach the view: what it reads is hostile, not the way there."""
        for part, method, content_type in FITTING:
            if part in path:
                return {"REQUEST_METHOD": method, "CONTENT_TYPE": content_type}
        return {"REQUEST_METHOD": "GET"}

    def headers(self) -> list[tuple[str, str]]:
        names = self.random.sample(sorted(HEADERS), self.random.randrange(4))
        return [(name, self.random.choice(HEADERS[name])) for name in names]

    def path(self) -> str:
        """A path as WSGI has it: decoded, each byte a character."""
        path = self.random.choice(ROUTES)
        if self.random.random() < 0.1:
            cut = self.random.randrange(len(path) + 1)
            path = path[:cut] + self.random.choice(TEXTS) + path[cut:]
        elif self.random.random() < 0.1:
            path = f"{path.rpartition('/')[0]}/{self.random.choice(TEXTS)}"
        raw = path.encode("utf-8", "surrogatepass")
        if self.random.random() < 0.05:
            raw += self.random.choice([b"\xff", b"\xc0\x80", b"\xed\xa0\x80"])
        return raw.decode("latin-1")

    def query(self) -> str:
        if self.random.random() < 0.4:
            return ""
        return "&".join(
            f"{self.text(self.random.choice(NAMES))}={self.value()}"
            for _ in range(self.random.randrange(1, 5))
        )

    def value(self) -> str:
        kind = self.random.random()
        if kind < 0.3:
            return self.random.choice(PERCENT)
        if kind < 0.5:
            return self.random.choice(CURSORS)
        return self.text(self.random.choice(TEXTS))

    def text(self, value: str) -> str:
        # A server passes on what a client has not encoded, as latin-1 characters.
        if self.random.random() < 0.2:
            return value.encode().decode("latin-1").replace("&", "").replace("#", "")
        return quote(value, safe="")

    def body(self) -> bytes:
        kind = self.random.random()
        if kind < 0.4:
            return self.random.choice(RAW_BODIES)
        if kind < 0.8:
            fields = self.random.sample(FIELDS, self.random.randrange(3))
            wrong = {name: self.random.choice(SCALARS) for name in fields}
            return json.dumps({"title": "a"} | wrong).encode()
        fields = self.random.sample(FIELDS, self.random.randrange(3))
        return "&".join(
            ["username=a", "password=b", *(f"{name}={self.value()}" for name in fields)]
        ).encode("utf-8", "replace")

    def raw_request(self) -> bytes:
        """The bytes of a request, in which nothing has to agree with anything."""
        environ = self.environ()
        body = environ["wsgi.input"].getvalue()
        target = quote(environ["PATH_INFO"].encode("latin-1"), safe="/%")
        if environ["QUERY_STRING"]:
            target += "?" + environ["QUERY_STRING"]
        version = self.random.choice(["HTTP/1.1"] * 8 + ["HTTP/1.0", "HTTP/9.9", ""])
        lines = [
            f"{environ['REQUEST_METHOD']} {target} {version}",
            "Host: localhost",
            "Connection: close",
            f"Content-Type: {environ['CONTENT_TYPE']}",
            *(f"{name}: {value}" for name, value in self.headers()),
        ]
        if not any(line.startswith(("Content-Length", "Transfer-Encoding")) for line in lines):
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([*lines, "", ""])
        return head.encode("latin-1", "replace") + bytes(body)


def check_answer(status: int, headers: dict[str, str], body: bytes, request_id: str) -> None:
    """A success, a redirect, a page, or an error in the one shape whose `code` is the status."""
    assert status != 500, body
    assert request_id
    if status < 400 or not body:
        return
    if headers["content-type"] == "text/html; charset=utf-8":
        assert f"<code>{request_id}</code>".encode() in body
        return
    problem: dict[str, Any] = json.loads(body)
    if headers["content-type"] == "application/problem+json":
        assert problem.pop("status") == status
        assert {"type", "title", "detail", "instance"} <= set(problem)
    else:
        assert headers["content-type"] == "application/json"
        assert problem["code"] == status
        assert problem["message"]
        assert set(problem) <= {
            "code",
            "error_code",
            "message",
            "request_id",
            "errors",
            "errors_total",
        }
    assert problem["error_code"] in CATALOGUE
    assert problem["request_id"] == request_id
    for error in problem.get("errors", ()):
        FieldProblem.model_validate(error)
        assert error["field"].split(".")[0] in {"path", "query", "header", "form", "body"}


@pytest.fixture
def hostile_app(small_app: Strongback) -> Strongback:
    """The whole application with something to read in it, and the probes."""
    declare_probes(small_app)
    library = ArticleLibrary(small_app)
    for number, slug in enumerate(("first", "second", "third")):
        library.add_article(slug, tags=("a", "b")[: number + 1])
        library.add_comment(slug, "A comment.")
    with small_app.app_context():
        small_app.extensions["alembic"].stamp()
    return small_app


def ask(app: Strongback, environ: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """Call the application as a WSGI server does."""
    started: list[tuple[int, dict[str, str]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
        for name, value in headers:
            assert not set("\r\n\x00") & set(name + value)
            value.encode("latin-1")
        started.append((int(status[:3]), {name.lower(): value for name, value in headers}))

    parts = app(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        if close := getattr(parts, "close", None):
            close()
    status, headers = started[-1]
    return status, headers, body


def test_no_request_is_answered_500(hostile_app, logs, is_long):
    """Thousands of requests, each hostile in several ways, through the whole application."""
    hostility = Hostility(SEED)
    statuses: dict[int, int] = {}
    requests = 15_000 if is_long else 2_000
    for number in range(requests):
        environ = hostility.environ()
        told = f"request {number}: {environ!r}"[:3000]
        try:
            status, headers, body = ask(hostile_app, environ)
            assert status < 500
            if environ["PATH_INFO"].startswith("/static/"):
                continue  # what WhiteNoise serves never reaches the application
            check_answer(status, headers, body, headers.get("x-request-id", ""))
        except Exception as error:
            raise AssertionError(told) from error
        statuses[status] = statuses.get(status, 0) + 1
    assert not logs.named("unhandled_exception")
    # The requests reach what they are meant to reach.
    least = min(statuses[status] for status in (200, 201, 400, 404, 405, 415, 422))
    assert least > requests / 375, statuses


@pytest.fixture(scope="module")
def server(
    starts_processes: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    with serving(tmp_path_factory.mktemp("hostile"), WEB_TIMEOUT="10", WEB_THREADS="8") as running:
        yield running


def exchange(port: int, raw: bytes) -> tuple[int, dict[str, str], bytes] | None:
    """Send bytes and read the answer; None if the server hangs up without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        try:
            connection.sendall(raw)
            with suppress(OSError):  # the server may have hung up already
                connection.shutdown(socket.SHUT_WR)
            response = HTTPResponse(connection)
            response.begin()
            body = response.read()
        except (ConnectionError, HTTPException):
            return None
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, body


def test_no_request_over_a_socket_is_answered_500(server):
    """What Gunicorn refuses by itself it answers by itself; the rest has our shape."""
    hostility = Hostility(SEED + 1)
    ours = 0
    for _ in range(OVER_SOCKETS):
        raw = hostility.raw_request()
        answer = exchange(server.port, raw)
        if answer is None:
            continue
        status, headers, body = answer
        if b" /static/" in raw.partition(b"\r\n")[0]:
            assert status != 500
            continue  # WhiteNoise may have served it
        if "x-request-id" not in headers:
            assert status in {400, 405, 408, 413, 414, 417, 431, 501, 505}, (status, raw[:500])
            continue
        ours += 1
        try:
            check_answer(status, headers, body, headers["x-request-id"])
        except Exception as error:
            raise AssertionError(raw[:2000]) from error
    assert ours > OVER_SOCKETS / 3
    assert server.status("/livez") == 200
    assert "unhandled_exception" not in server.log.read_text()
