"""Realtime: messages to browsers and phones over WebSocket, by Centrifugo's client protocol.

It needs the outbox and the tasks, and the extra `realtime`.
"""

from strongback.realtime.channel import ChannelRegistry, Channels, Grant, History, InvalidChannel
from strongback.realtime.part import register
from strongback.realtime.realtime import Realtime

__all__ = [
    "ChannelRegistry",
    "Channels",
    "Grant",
    "History",
    "InvalidChannel",
    "Realtime",
    "register",
]
