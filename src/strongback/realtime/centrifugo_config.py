"""The configuration of a real Centrifugo, made from the declared channels."""

from __future__ import annotations

from secrets import token_urlsafe
from typing import Any

from strongback.config import Settings
from strongback.realtime.access import Access
from strongback.realtime.channel import PERSONAL, Channels
from strongback.realtime.token import AUDIENCE
from strongback.realtime.view import KEY_HEADER

CONNECTIONS_PER_USER = 20


def centrifugo_configuration(settings: Settings, access: Access, endpoint: str) -> dict[str, Any]:
    """Return the configuration of a Centrifugo that serves the declared channels."""
    key = settings.centrifugo_api_key.get_secret_value()
    signing, *earlier = access.tokens.keys
    previous = {"hmac_previous_secret_key": earlier[0]} if earlier else {}
    configuration: dict[str, Any] = {
        "client": {
            "token": {"hmac_secret_key": signing, **previous, "audience": AUDIENCE},
            "allowed_origins": [settings.address, *settings.web_cors_origins],
            "user_connection_limit": CONNECTIONS_PER_USER,
            "subscribe_to_user_personal_channel": {
                "enabled": True,
                "personal_channel_namespace": PERSONAL,
            },
        },
        "channel": {
            "proxy": {"subscribe": _proxy(endpoint, access)},
            "namespaces": [_namespace(each) for each in access.registry],
        },
        "http_api": {"key": key or token_urlsafe(32)},
        "health": {"enabled": True},
        "prometheus": {"enabled": True},
    }
    if settings.redis_address is not None:
        configuration["engine"] = {"type": "redis", "redis": {"address": settings.redis_address}}
    return configuration


def _proxy(endpoint: str, access: Access) -> dict[str, Any]:
    return {
        "endpoint": endpoint,
        "timeout": "2s",
        "include_connection_meta": True,
        "http": {"static_headers": {KEY_HEADER: access.tokens.proxy_keys[0]}},
    }


def _namespace(channels: Channels) -> dict[str, Any]:
    is_personal = channels.name == PERSONAL
    options: dict[str, Any] = {
        "name": channels.name,
        "presence": channels.presence,
        "allow_presence_for_subscriber": channels.presence,
        "join_leave": channels.join_leave,
        "force_push_join_leave": channels.join_leave,
        "allow_publish_for_subscriber": channels.publish,
        "allow_user_limited_channels": is_personal,
        "subscribe_proxy_enabled": not is_personal,
        "channel_regex": f"^{channels.pattern}$",
    }
    if channels.history is not None:
        options |= {
            "history_size": channels.history.size,
            "history_ttl": f"{channels.history.ttl.total_seconds():.0f}s",
            "allow_history_for_subscriber": True,
            "force_recovery": True,
            "force_positioning": True,
        }
    return options
