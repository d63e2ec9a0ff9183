from __future__ import annotations

import pytest

from strongback.database import Database
from strongback.outbox import MessageState, Outbox

pytestmark = pytest.mark.speaks_sql


@pytest.fixture
def dead(library):
    """An outbox with a dead message in it, and one that waits."""
    outbox: Outbox = library.app.services[Outbox]
    outbox.subscribe("thing:happened", "test:note")

    def write(_: object) -> None:
        for number in range(2):
            outbox.emit("thing:happened", {"number": number}, key="thing:1")
        message = outbox.list(None, 1)[0]
        message.state, message.available_at = MessageState.DEAD, None
        message.error = "Traceback: LookupError"

    library.app.services[Database].transact(write)
    return outbox


def numbers(library):
    """Of what is in the outbox, the oldest first."""
    outbox: Outbox = library.app.services[Outbox]
    with outbox.database.scope():
        return [message.id for message in outbox.list(None, 10)]


def test_list_shows_state_key_and_how_late(library, dead):
    status, output = library.run("outbox", "list")
    assert status == 0
    assert output.splitlines()[0].split()[1:4] == ["dead", "test:note", "thing:1"]
    assert "1 waiting, 0 running, 1 dead" in output
    assert "LookupError" not in output


def test_list_shows_the_traceback_when_asked(library, dead):
    output = library.run("outbox", "list", "--state", "dead", "--trace")[1]
    assert "LookupError" in output
    assert output.count("test:note") == 1


def test_replay_makes_dead_messages_wait_again(library, dead):
    assert "1 message will be tried again" in library.run("outbox", "replay", "--all")[1]
    assert "2 waiting, 0 running, 0 dead" in library.run("outbox", "list")[1]


def test_replay_of_what_is_not_dead_fails_and_names_it(library, dead):
    first, second = numbers(library)
    status, output = library.run("outbox", "replay", str(second), "999999999", str(first))
    assert status == 1
    assert "1 message will be tried again" in output
    assert f"No dead message has the id {second}, 999999999." in output
    assert "outbox list --state dead" in output


def test_replay_wants_to_know_which(library, dead):
    status, output = library.run("outbox", "replay")
    assert status == 2
    assert "--all" in output


@pytest.mark.parametrize(
    "arguments", [("replay", "9" * 23), ("replay", "0"), ("purge", "--yes", "--days", "1e12")]
)
def test_refuses_numbers_beyond_what_can_be_stored(library, dead, arguments):
    status, output = library.run("outbox", *arguments)
    assert status == 2
    assert "is not in the range" in output


def test_purge_asks_first(library, dead):
    assert library.run("outbox", "purge", "--days", "0")[0] == 1
    assert "Deleted 1" in library.run("outbox", "purge", "--days", "0", "--yes")[1]
