"""What a request must be before anything of it is believed: its `Host`, its body, its client.

Servers differ in what they let through (Gunicorn takes any `Host`, Granian hands over a body that
was cut short as if it were whole), and a proxy writes down an address in more than one form. Here
all of that becomes one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
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
"""A name of hosts (RFC 1123, 2.1) or an address, and a port. No dot at the end, which would be a
second spelling. No comma: so do servers join two headers."""
MAX_NAME = 253
MAX_PORT = 65535


def check_request(environ: Environ) -> None:
    """Refuse a request whose `Host` is missing or wrong, and make its body tell when it is cut.

    Raises:
        BadRequest: The `Host` is missing or wrong (RFC 9112, 3.2), or the body comes in a form
            of which this server cannot tell whether it is complete.
    """
    _check_host(environ)
    if "HTTP_TRANSFER_ENCODING" in environ:
        if environ.get("SERVER_SOFTWARE") == "Granian":
            raise BadRequest("This server takes no chunked body; send it with a Content-Length.")
        environ["wsgi.input"] = ChunkedBody(environ["wsgi.input"])
    elif environ.get("CONTENT_LENGTH"):
        # Then Werkzeug counts, and refuses what ends before it is complete.
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
    """Whether it names one host, with or without a port."""
    match = HOST.fullmatch(value)
    if match is None or len(match[1]) > MAX_NAME:
        return False
    if match[2] and not 0 < int(match[2]) <= MAX_PORT:
        return False
    # What ends in a number is an address, or nothing (WHATWG URL, 3.5).
    is_address = value.startswith("[") or match[1].rpartition(".")[2].isdigit()
    return not is_address or address_of(match[1]) is not None


class ChunkedBody:
    """A chunked body whose faults are the client's, whatever the server raises for them.

    Args:
        body: The server's `wsgi.input`.
    """

    def __init__(self, body: IO[bytes]) -> None:
        self._body = body

    def read(self, size: int = -1) -> bytes:
        """The next bytes; none at the end.

        Raises:
            BadRequest: The chunks are malformed, or end before the last (RFC 9112, 7.1).
        """
        try:
            return self._body.read(size)
        except Exception as error:
            raise BadRequest("The chunked body is malformed or incomplete.") from error


# The client, as a proxy names it


def plain_client(wsgi_app: WSGIApp) -> WSGIApp:
    """Hand over the client's address without a port; goes between ProxyFix and the application."""

    def plain(environ: Environ, start_response: object) -> Iterable[bytes]:
        sent = environ["werkzeug.proxy_fix.orig"]
        if environ["REMOTE_ADDR"] is not sent["REMOTE_ADDR"]:
            environ["REMOTE_ADDR"] = address_of(environ["REMOTE_ADDR"]) or sent["REMOTE_ADDR"]
        scheme = environ["wsgi.url_scheme"].lower()
        environ["wsgi.url_scheme"] = scheme if scheme in {"http", "https"} else "http"
        return wsgi_app(environ, start_response)

    return cast("WSGIApp", plain)


def address_of(node: str) -> str | None:
    """The address in what a proxy writes of its client, with a port or without (RFC 7239, 6).

    That of an IPv4 client is written as one, also by a proxy that listens for both kinds. None
    where there is none, as in `unknown`.
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
