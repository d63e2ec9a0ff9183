"""Realtime: messages to browsers and phones over WebSocket, by Centrifugo's client protocol."""

from strongback.realtime.channel import ChannelRegistry, Channels, Grant, History, InvalidChannel

__all__ = ["ChannelRegistry", "Channels", "Grant", "History", "InvalidChannel"]
