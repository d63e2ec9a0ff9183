from datetime import timedelta

import pytest

from strongback.auth.principal import Principal
from strongback.database import utc_now
from strongback.exceptions import ConfigurationError
from strongback.realtime import ChannelRegistry, Channels, Grant, History, InvalidChannel

CALLER = Principal(7, "carol", frozenset(), frozenset(), "session", utc_now())


def test_a_channel_is_found_by_its_name():
    registry = ChannelRegistry()
    article = registry.add(Channels("article", presence=True))

    assert article.channel(7) == "article:7"
    assert article.channel("a", "b") == "article:a:b"
    assert registry.find("article:7") is article
    assert registry.find("comment:7") is None


@pytest.mark.parametrize(
    "rest", ["", "a b", "绿", "*", "#7", "a/b", "$a", "a&b", "a\n", "x" * 248, "é"]
)
def test_names_that_centrifugo_would_take_otherwise_are_refused(rest):
    registry = ChannelRegistry()
    article = registry.add(Channels("article"))

    with pytest.raises(InvalidChannel):
        article.channel(rest)
    assert registry.find(f"article:{rest}") is None


@pytest.mark.parametrize("name", ["", "a", "a:b", "绿绿", "a b", "x" * 101])
def test_a_namespace_is_spelled_as_centrifugo_takes_it(name):
    with pytest.raises(ConfigurationError, match="channels"):
        Channels(name)


@pytest.mark.parametrize("history", [History(0, timedelta(1)), History(301, timedelta(1))])
def test_a_history_that_could_not_be_recovered_is_refused(history):
    with pytest.raises(ConfigurationError, match="1 to 300"):
        Channels("article", history=history)


def test_two_namespaces_of_one_name_are_refused_with_both_places():
    registry = ChannelRegistry()
    registry.add(Channels("article"))

    with pytest.raises(ConfigurationError, match=r"test_channel:\d+ has it, and .*test_channel:"):
        registry.add(Channels("article"))
    with pytest.raises(ConfigurationError, match=r"strongback.*has it"):
        registry.add(Channels("user"))


def test_nobody_may_subscribe_where_nothing_says_who():
    article = Channels("article")
    assert article.grant(CALLER, "article:7") is None

    @article.authorize
    def may_read(principal, rest):
        return Grant(info={"name": principal.username}) if rest == "7" else None

    assert article.grant(CALLER, "article:7") == Grant(info={"name": "carol"})
    assert article.grant(CALLER, "article:8") is None


def test_a_personal_channel_is_its_owners():
    registry = ChannelRegistry()
    own, other = registry.personal(7), registry.personal(8)
    personal = registry.find(own)

    assert own == "user:#7"
    assert personal is not None
    assert personal.grant(CALLER, own) == Grant()
    assert personal.grant(CALLER, other) is None
    assert registry.find("user:7") is None
