"""The handshake: who may open a WebSocket, and in which encoding."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qs, urlsplit

from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from strongback.realtime.codec import JSON, PROTOBUF, Encoding
from strongback.realtime.options import PATH, Options, with_port

SUBPROTOCOLS = {"centrifuge-json": JSON, "centrifuge-protobuf": PROTOBUF}

# What a client does wrong is no news; what is wrong with the library is.
_library_logger = logging.getLogger(f"{__name__}.websockets")
_library_logger.setLevel(logging.WARNING)


def new_protocol(max_size: int) -> ServerProtocol:
    """Return the state of a connection that has not begun; a message has so many bytes at most."""
    return ServerProtocol(
        subprotocols=cast("list[Subprotocol]", list(SUBPROTOCOLS)),
        select_subprotocol=_select_subprotocol,
        max_size=max_size,
        logger=_library_logger,
    )


def respond(protocol: ServerProtocol, request: Request, options: Options) -> Response:
    """Return the response to a handshake."""
    if request.path.partition("?")[0] != PATH:
        return protocol.reject(HTTPStatus.NOT_FOUND, "Not found.\n")
    if not _is_welcome(request, options):
        return protocol.reject(HTTPStatus.FORBIDDEN, "Origin not allowed.\n")
    return protocol.accept(request)


def chosen_encoding(protocol: ServerProtocol, request: Request) -> Encoding:
    """The encoding that a client has chosen; old ones ask for Protobuf by the query."""
    if protocol.subprotocol is not None:
        return SUBPROTOCOLS[protocol.subprotocol]
    asked = parse_qs(request.path.partition("?")[2])
    values = [*asked.get("format", ()), *asked.get("cf_protocol", ())]
    return PROTOBUF if "protobuf" in values else JSON


def _select_subprotocol(_protocol: ServerProtocol, offered: object) -> Subprotocol | None:
    names = cast("list[Subprotocol]", offered)
    return next((name for name in names if name in SUBPROTOCOLS), None)


def _is_welcome(request: Request, options: Options) -> bool:
    """Whether a page of this origin may connect: one of the same host, or one that is listed."""
    found = request.headers.get_all("Origin")
    if not found:
        return True
    origin = found[0].lower()
    own = [each.lower() for each in request.headers.get_all("Host")]
    if options.page_port is not None:
        own = [with_port(each, options.page_port) for each in own]
    try:
        is_own = [urlsplit(origin).netloc] == own
    except ValueError:
        return False
    return len(found) == 1 and (is_own or origin in map(str.lower, options.origins))
