"""The broker `centrifugo`: a real Centrifugo serves the clients, and is asked by its HTTP API."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from strongback.exceptions import StrongbackError
from strongback.realtime.broker import BrokerUnavailable
from strongback.realtime.message import (
    FORCE_DISCONNECT,
    INTERNAL,
    NOT_AVAILABLE,
    ClientInfo,
    Close,
    Position,
    Publication,
    Stream,
)

TIMEOUT = 2.0
"""Seconds in which Centrifugo must respond."""
LAST = 2**63 - 1
"""Beyond it, Centrifugo begins anew at the first publication."""
FORCE_RECONNECT = Close(3011, "force reconnect")
_MENDABLE = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}


class CentrifugoRefused(StrongbackError):
    """Centrifugo does not take a command, now or later."""

    def __init__(self, method: str, error: Mapping[str, Any]) -> None:
        super().__init__(f"Centrifugo refuses {method}: {error.get('code')} {error.get('message')}")
        self.code = error.get("code")


class CentrifugoBroker:
    """Asks a Centrifugo."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"Content-Type": "application/json", "X-API-Key": key}
        # No proxy of the environment: it is a server of ours.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def publish(
        self,
        channels: Sequence[str],
        data: bytes,
        *,
        idempotency_key: str = "",
        info: ClientInfo | None = None,
    ) -> None:
        """Publish to channels; see `Broker`. Centrifugo knows its publishers itself."""
        del info
        body = {"channels": list(channels), "data": json.loads(data)}
        if idempotency_key:
            body["idempotency_key"] = idempotency_key
        for response in self._ask("broadcast", body).get("responses", ()):
            _result("broadcast", response)

    def history(
        self, channel: str, limit: int, since: Position | None = None, *, reverse: bool = False
    ) -> Stream:
        """Return a part of a channel's history; see `Broker`."""
        body: dict[str, Any] = {"channel": channel, "limit": limit, "reverse": reverse}
        if since is not None:
            body["since"] = {"offset": min(since.offset, LAST), "epoch": since.epoch}
        found = self._find("history", body)
        publications = tuple(
            Publication(_json(each["data"]), each.get("offset", 0))
            for each in found.get("publications") or ()
        )
        return Stream(publications, Position(found.get("epoch", ""), found.get("offset", 0)))

    def presence(self, channel: str) -> dict[str, ClientInfo]:
        """Return the connections that are subscribed; see `Broker`."""
        found = self._find("presence", {"channel": channel}).get("presence") or {}
        return {client: _info(each) for client, each in found.items()}

    def disconnect(
        self, user_id: int, session_id: str = "", close: Close = FORCE_DISCONNECT
    ) -> None:
        """Close the connections of a user; see `Broker`.

        Centrifugo does not know our sessions: where one alone has ended, all of the user's connect
        again, and its own cannot once its token has expired.
        """
        close = FORCE_RECONNECT if session_id else close
        self._ask("disconnect", {"user": str(user_id), "disconnect": close._asdict()})

    def nodes(self) -> list[dict[str, Any]]:
        """Return what Centrifugo says of its nodes."""
        return [*(self._ask("info", {}).get("nodes") or ())]

    def figures(self) -> dict[str, float]:
        """Return what its nodes do together, for `/readyz`."""
        clients = [node.get("num_clients", 0) for node in self.nodes()]
        return {"processes": len(clients), "connections": sum(clients)}

    def _find(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._ask(method, body)
        except CentrifugoRefused as error:
            if error.code == NOT_AVAILABLE.code:  # the channel has none
                return {}
            raise

    def _ask(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310  the setting is an http address
            f"{self._url}/api/{method}", json.dumps(body).encode(), self._headers
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                return _result(method, json.load(response))
        except urllib.error.HTTPError as error:
            with error:
                if error.code in _MENDABLE or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise BrokerUnavailable(f"Centrifugo responds with {error.code}") from error
                refusal = {"code": error.code, "message": error.reason}
                raise CentrifugoRefused(method, refusal) from error
        except (OSError, ValueError) as error:
            raise BrokerUnavailable(f"Centrifugo does not answer: {error}") from error


def _result(method: str, response: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of a response, or raise its error, which comes with status 200."""
    error = response.get("error")
    if error is None:
        return dict(response.get("result") or {})
    if error.get("code") == INTERNAL.code:
        raise BrokerUnavailable(f"Centrifugo fails at {method}: {error.get('message')}")
    raise CentrifugoRefused(method, error)


def _info(each: Mapping[str, Any]) -> ClientInfo:
    found = (each.get(name) for name in ("conn_info", "chan_info"))
    infos = (b"" if info is None else _json(info) for info in found)
    return ClientInfo(each.get("user", ""), each.get("client", ""), *infos)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
