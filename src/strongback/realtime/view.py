"""Routes that let clients connect: tokens, and the questions of a real Centrifugo."""

from __future__ import annotations

import hmac
from typing import Annotated, Any

from pydantic import BaseModel, Field

from strongback.auth.principal import Principal
from strongback.exceptions import Forbidden
from strongback.realtime.access import Access
from strongback.realtime.channel import MAX_LENGTH
from strongback.realtime.exceptions import ChannelDenied, UnknownChannel
from strongback.realtime.message import FORCE_DISCONNECT, PERMISSION_DENIED, UNKNOWN_CHANNEL
from strongback.realtime.options import PATH, with_port
from strongback.realtime.permission import RealtimePermission
from strongback.schema import RequestBody, Schema
from strongback.web.blueprint import APIBlueprint
from strongback.web.guard import needs, public
from strongback.web.injection import inject
from strongback.web.limit import limited
from strongback.web.limit import principal as principal_key
from strongback.web.request import current_request

KEY_HEADER = "X-Realtime-Key"
"""Header in which Centrifugo says that it is the one that was configured."""

api = APIBlueprint("sb_realtime", __name__, url_prefix="/realtime", tag="realtime")
access = inject(Access)


class ConnectionOut(Schema):
    """A token, and where to connect with it."""

    token: str
    """Token of the connection, for ten minutes; a client asks for the next one in time."""
    url: str
    """Address of the WebSocket."""


class SubscriptionIn(RequestBody):
    """A channel to subscribe to."""

    channel: Annotated[str, Field(max_length=MAX_LENGTH)]
    """Name of the channel."""


class SubscriptionOut(Schema):
    """A token for one channel."""

    token: str
    """Token of the subscription, for ten minutes."""


class MetaIn(BaseModel):
    """`meta` of the token of a connection, as we have signed it."""

    sid: str = ""
    """Id of the session."""
    scope: frozenset[str] | None = None
    """Permissions that it is limited to; null for all of the account's."""


class ProxyIn(BaseModel):
    """What Centrifugo tells of a client that wants to subscribe; it also says more."""

    user: Annotated[str, Field(max_length=MAX_LENGTH)]
    """Id of the account."""
    channel: str
    """Name of the channel."""
    meta: MetaIn | None = None
    """`meta` of the token of the connection."""


@api.post("/token", responses={200: ConnectionOut})
@needs(RealtimePermission.CONNECT)
@limited("60/minute", key=principal_key, on_outage="process")
def create_connection_token(principal: Principal) -> ConnectionOut:
    """Get a token to receive live messages, and the address to connect to.

    Clients are the official SDKs of Centrifugo, for browsers and phones.
    """
    request = current_request()
    host = request.host if access.port is None else with_port(request.host, access.port)
    url = f"{'wss' if request.is_secure else 'ws'}://{host}{PATH}"
    return ConnectionOut(token=access.tokens.issue(principal), url=url)


@api.post("/subscription", responses={200: SubscriptionOut})
@needs(RealtimePermission.CONNECT)
@limited("120/minute", key=principal_key, on_outage="process")
def create_subscription_token(body: SubscriptionIn, principal: Principal) -> SubscriptionOut:
    """Get a token to subscribe to one channel, where a real Centrifugo does not ask for itself."""
    if access.registry.find(body.channel) is None:
        raise UnknownChannel
    grant = access.grant(principal, body.channel)
    if grant is None:
        raise ChannelDenied
    return SubscriptionOut(token=access.tokens.issue_for(principal, body.channel, grant.info))


@api.post("/centrifugo/subscribe", responses={200: None}, doc_ui=False)
@public
def allow_subscription(body: ProxyIn) -> dict[str, Any]:
    """Tell a real Centrifugo whether a client may subscribe."""
    sent = current_request().headers.get(KEY_HEADER, "").encode()
    if not any(hmac.compare_digest(sent, key.encode()) for key in access.tokens.proxy_keys):
        raise Forbidden
    if access.registry.find(body.channel) is None:
        return _refused(UNKNOWN_CHANNEL)
    meta = body.meta or MetaIn()
    user_id = int(body.user) if body.user.isdecimal() else 0
    principal = access.principal(user_id, meta.sid, meta.scope)
    if principal is None:
        return {"disconnect": {"code": FORCE_DISCONNECT.code, "reason": FORCE_DISCONNECT.reason}}
    grant = access.grant(principal, body.channel)
    if grant is None:
        return _refused(PERMISSION_DENIED)
    given = {"info": grant.info, "data": grant.data}
    return {"result": {name: value for name, value in given.items() if value is not None}}


def _refused(error: Any) -> dict[str, Any]:  # noqa: ANN401  one of the protocol's
    return {"error": {"code": error.code, "message": error.message}}
