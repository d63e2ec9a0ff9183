from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import cast

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.sock import BaseSocket

from strongback.server.gunicorn_listeners import choose_share, open_listeners, turn_away


@pytest.mark.parametrize(
    "of_siblings, shares, chosen",
    [
        ((), 2, 0),
        ((0,), 2, 1),  # the second to start, or the place of one that died
        ((0, 1), 2, 0),  # with the oldest, which it replaces
        ((1, 0), 2, 1),
        ((0, 1, 0), 2, 1),
        ((0, 1, 1), 2, 0),
        ((0, 1, 2, 3), 2, 0),  # fewer workers after a reload: the others' numbers mean nothing
        ((0,), 1, 0),
    ],
)
def test_every_share_has_a_worker_and_a_successor_has_that_of_the_oldest(
    of_siblings, shares, chosen
):
    assert choose_share(enumerate(of_siblings), shares) == chosen


@pytest.fixture
def config() -> Config:
    config = Config()
    config.set("bind", "127.0.0.1:0")
    return config


@pytest.fixture
def listener(config: Config) -> Iterator[BaseSocket]:
    [opened] = open_listeners(config, Logger(config), 1)
    with closing(opened):
        yield opened


def connect(listener: BaseSocket, timeout: float = 5) -> socket.socket:
    address = cast("socket.socket", listener).getsockname()
    return socket.create_connection(address, timeout=timeout)


def test_several_listeners_have_one_address(config: Config, listener: BaseSocket):
    config.set("bind", str(listener).removeprefix("http://"))
    opened = open_listeners(config, Logger(config), 2)
    assert [str(item) for item in opened] == [str(listener)] * 2
    for item in opened:
        item.close()


@pytest.mark.parametrize("bind", ["unix:/tmp/x", ["127.0.0.1:0", "127.0.0.1:0"]])
def test_other_addresses_are_left_to_gunicorn(config: Config, bind: str | list[str]):
    config.set("bind", bind)
    assert open_listeners(config, Logger(config), 2) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the packet filter is Linux's")
def test_who_connected_before_is_let_in_and_who_comes_later_is_ignored(listener: BaseSocket):
    with connect(listener) as early:
        turn_away([listener])
        with pytest.raises(TimeoutError):
            connect(listener, timeout=0.2)
        accepted, address = cast("socket.socket", listener).accept()
        with accepted:
            assert address == early.getsockname()
            early.sendall(b"heard")
            assert accepted.recv(5) == b"heard"
