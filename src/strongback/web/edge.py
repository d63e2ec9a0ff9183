"""Checks of a request that servers leave out: its `Host`, its body, the address of its client.

Servers differ in what they accept (Gunicorn takes any `Host`, Granian passes on a truncated body as
if it were complete), and proxies write addresses in several forms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import ip_address
from typing import IO, Any, cast

from strongback.exceptions import BadRequest

Environ = dict[str, Any]
WSGIApp = Callable[[Environ, Any], Iterable[bytes]]

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST = re.compile(
    rf"({_LABEL}(?:\.{_LABEL})*|\[[0-9a-f.]*:[0-9a-f:.]+\])(?::([0-9]{{0,5}}))?",
    re.ASCII | re.IGNORECASE,
)
"""A host name (RFC 1123, 2.1) or an address, and a port. No trailing dot, which would be a second
spelling. No comma, by which servers join two headers."""
MAX_NAME = 253
MAX_PORT = 65535


def check_request(environ: Environ) -> None:
    """Refuse a request with an invalid `Host`, and detect a truncated body.

    Raises:
        BadRequest: The `Host` is missing or invalid (RFC 9112, 3.2), or this server cannot tell
            whether the body is complete.
    """
    _check_host(environ)
    if "HTTP_TRANSFER_ENCODING" in environ:
        if environ.get("SERVER_SOFTWARE") == "Granian":
            raise BadRequest("This server takes no chunked body; send it with a Content-Length.")
        environ["wsgi.input"] = ChunkedBody(environ["wsgi.input"])
    elif environ.get("CONTENT_LENGTH"):
        # Then Werkzeug counts, and refuses a body that is shorter than announced.
        environ.pop("wsgi.input_terminated", None)


def _check_host(environ: Environ) -> None:
    given = environ.get("HTTP_HOST")
    sent = environ.get("werkzeug.proxy_fix.orig", environ).get("HTTP_HOST")
    protocol = environ["SERVER_PROTOCOL"]
    if not sent and (protocol == "HTTP/1.0" or not protocol.startswith("HTTP/1.")):
        return
    if not is_host(sent or "") or (given is not sent and not is_host(given or "")):
        raise BadRequest(
            "The Host header is missing or names no host: send letters, digits and hyphens with"
            " dots between them, or an address."
        )


def is_host(value: str) -> bool:
    """Whether a value is one host, with or without a port."""
    return len(value) <= MAX_NAME + len(":65535") and _is_host(value)


@lru_cache(maxsize=256)  # a server has few names, and each of its requests has one
def _is_host(value: str) -> bool:
    match = HOST.fullmatch(value)
    if match is None or len(match[1]) > MAX_NAME:
        return False
    if match[2] and not 0 < int(match[2]) <= MAX_PORT:
        return False
    # What ends in a number is an address, or nothing (WHATWG URL, 3.5).
    is_address = value.startswith("[") or match[1].rpartition(".")[2].isdigit()
    return not is_address or address_of(match[1]) is not None


class ChunkedBody:
    """A chunked body whose errors are 400, whatever the server raises for them."""

    def __init__(self, body: IO[bytes]) -> None:
        self._body = body

    def read(self, size: int = -1) -> bytes:
        """Read bytes, none at the end; malformed or incomplete chunks are 400 (RFC 9112, 7.1)."""
        try:
            return self._body.read(size)
        except Exception as error:
            raise BadRequest("The chunked body is malformed or incomplete.") from error


# The address of the client, as proxies write it


def plain_client(wsgi_app: WSGIApp) -> WSGIApp:
    """Remove the port from the client's address; wraps the application inside ProxyFix."""

    def plain(environ: Environ, start_response: object) -> Iterable[bytes]:
        sent = environ["werkzeug.proxy_fix.orig"]
        if environ["REMOTE_ADDR"] is not sent["REMOTE_ADDR"]:
            environ["REMOTE_ADDR"] = address_of(environ["REMOTE_ADDR"]) or sent["REMOTE_ADDR"]
        scheme = environ["wsgi.url_scheme"].lower()
        environ["wsgi.url_scheme"] = scheme if scheme in {"http", "https"} else "http"
        return wsgi_app(environ, start_response)

    return cast("WSGIApp", plain)


def address_of(node: str) -> str | None:
    """The address of a client as a proxy writes it, without the port (RFC 7239, 6).

    An IPv4-mapped address becomes IPv4. None if there is no address, as in `unknown`.
    """
    host = node.strip().strip('"')
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
