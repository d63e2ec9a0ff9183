from __future__ import annotations

import io
import json
from typing import Any

import pytest
from centrifuge.protocol import client_pb2
from google.protobuf.proto import parse_length_prefixed, serialize_length_prefixed
from hypothesis import example, given
from hypothesis import strategies as st

from strongback.realtime.codec import JSON, MAX_ENTRIES, PROTOBUF, Command
from strongback.realtime.message import BAD_PROTOCOL, Disconnected

OFFICIAL: Any = client_pb2  # generated, so that type checkers see nothing in it
TEXT = st.text(max_size=20)
NUMBER = st.integers(1, 2**32 - 1)
OFFSET = st.integers(0, 2**64 - 1)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
SUBSCRIBE = st.fixed_dictionaries(
    {},
    optional={
        "channel": TEXT,
        "token": TEXT,
        "recover": st.booleans(),
        "epoch": TEXT,
        "offset": OFFSET,
        "flag": st.integers(0, 2**63 - 1),
    },
)
HISTORY = st.fixed_dictionaries(
    {},
    optional={
        "channel": TEXT,
        "limit": st.integers(-(2**31), 2**31 - 1),
        "since": st.fixed_dictionaries({}, optional={"offset": OFFSET, "epoch": TEXT}),
        "reverse": st.booleans(),
    },
)
CONNECT = st.fixed_dictionaries(
    {}, optional={"token": TEXT, "name": TEXT, "subs": st.dictionaries(TEXT, SUBSCRIBE, max_size=3)}
)
COMMANDS = st.one_of(
    st.tuples(NUMBER, st.just("connect"), CONNECT),
    st.tuples(NUMBER, st.just("subscribe"), SUBSCRIBE),
    st.tuples(NUMBER, st.just("history"), HISTORY),
    st.tuples(NUMBER, st.just("refresh"), st.fixed_dictionaries({"token": TEXT})),
    st.tuples(NUMBER, st.just("presence"), st.fixed_dictionaries({"channel": TEXT})),
)
INFO = st.fixed_dictionaries({"user": TEXT, "client": TEXT})
PUBLICATION = st.fixed_dictionaries(
    {"data": DATA, "offset": st.integers(1, 2**64 - 1)}, optional={"info": INFO}
)
REPLIES = st.one_of(
    st.fixed_dictionaries({"push": st.fixed_dictionaries({"channel": TEXT, "pub": PUBLICATION})}),
    st.fixed_dictionaries(
        {
            "id": NUMBER,
            "subscribe": st.fixed_dictionaries(
                {"epoch": TEXT, "publications": st.lists(PUBLICATION, max_size=3)}
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "id": NUMBER,
            "presence": st.fixed_dictionaries(
                {"presence": st.dictionaries(TEXT, INFO, max_size=3)}
            ),
        }
    ),
)


def as_published(fields: Any) -> Any:
    """Replace the values of `bytes` fields as a server holds them: JSON text."""
    if isinstance(fields, list):
        return [as_published(each) for each in fields]
    if not isinstance(fields, dict):
        return fields
    return {
        name: json.dumps(value).encode() if name == "data" else as_published(value)
        for name, value in fields.items()
    }


def without_defaults(fields: Any, *, is_map: bool = False) -> Any:
    """Leave out what Protobuf does not send."""
    if not isinstance(fields, dict):
        return fields
    return {
        name: without_defaults(value, is_map=name == "subs")
        for name, value in fields.items()
        if is_map or value or (isinstance(value, dict) and name != "subs")
    }


def payload(frame: bytes) -> bytes:
    """What a server's frame carries."""
    short = frame[1]
    return frame[{126: 4, 127: 10}.get(short, 2) :]


@given(commands=st.lists(COMMANDS, min_size=1, max_size=3))
def test_commands_are_the_same_in_both_encodings(commands) -> None:
    expected = [Command(id_, method, without_defaults(params)) for id_, method, params in commands]
    lines = [json.dumps({"id": id_, method: params}) for id_, method, params in commands]
    target = io.BytesIO()
    for id_, method, params in commands:
        message = OFFICIAL.Command(**{"id": id_, method: params})
        serialize_length_prefixed(message, target)

    assert list(JSON.decode("\n".join(lines).encode())) == expected
    assert list(PROTOBUF.decode(target.getvalue())) == expected


@given(reply=REPLIES)
def test_replies_are_what_the_official_schema_reads(reply) -> None:
    ours = as_published(reply)

    assert json.loads(payload(JSON.frame(ours))) == reply
    source = io.BytesIO(payload(PROTOBUF.frame(ours)))
    assert parse_length_prefixed(OFFICIAL.Reply, source) == OFFICIAL.Reply(**ours)
    assert not source.read()


def test_a_ping_is_an_empty_reply() -> None:
    assert payload(JSON.frame({})) == b"{}"
    assert payload(PROTOBUF.frame({})) == b"\x00"


def test_an_empty_result_is_there() -> None:
    assert json.loads(payload(JSON.frame({"id": 1, "publish": {}}))) == {"id": 1, "publish": {}}
    message = OFFICIAL.Reply.FromString(payload(PROTOBUF.frame({"id": 1, "publish": {}}))[1:])
    assert message.HasField("publish")


def test_data_of_a_command_is_json_text() -> None:
    (command,) = JSON.decode(
        b'{"id": 1, "publish": {"channel": "a", "data": {"b": [1, "\xc3\xa9"]}}}'
    )
    assert command.params["data"] == '{"b":[1,"é"]}'.encode()


@pytest.mark.parametrize(
    "message",
    [
        b"{",
        b"[]",
        b"1",
        b'{"id": "1", "connect": {}}',
        b'{"id": -1, "connect": {}}',
        b'{"id": 4294967296, "connect": {}}',
        b'{"id": true, "connect": {}}',
        b'{"id": 1.5, "connect": {}}',
        b'{"id": 1, "connect": []}',
        b'{"id": 1, "connect": {"token": 5}}',
        b'{"id": 1, "connect": {"subs": []}}',
        b'{"id": 1, "connect": {"subs": {"a": 1}}}',
        b'{"id": 1, "history": {"limit": "1"}}',
        b'{"id": 1, "subscribe": {"recover": 1}}',
        b'{"id": 1, "publish": {"data": ' + b"[" * 900 + b"]" * 900 + b"}}",
        b"\xff",
    ],
)
def test_json_of_another_shape_is_a_bad_request(message) -> None:
    with pytest.raises(Disconnected) as caught:
        list(JSON.decode(message))
    assert caught.value.close == BAD_PROTOCOL


@example(message=b"\x80" * 9 + b"\x01")  # a length that no index of Python can be
@given(message=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_nothing_that_is_sent_is_worse_than_a_bad_request(message) -> None:
    for encoding in (JSON, PROTOBUF):
        try:
            commands = list(encoding.decode(message))
        except Disconnected as error:
            assert error.close == BAD_PROTOCOL  # noqa: PT017  most messages raise nothing
        else:
            assert all(isinstance(each, Command) for each in commands)


def test_a_map_has_only_so_many_entries() -> None:
    subs: dict[str, Any] = {str(number): {} for number in range(MAX_ENTRIES)}
    target = io.BytesIO()
    extras: list[dict[str, Any]] = [{}, {"one": {}}]
    for more in extras:
        command = {"id": 1, "connect": {"subs": subs | more}}
        serialize_length_prefixed(OFFICIAL.Command(**command), target)
        encoded = {JSON: json.dumps(command).encode(), PROTOBUF: target.getvalue()}
        for encoding, message in encoded.items():
            found = encoding.decode(message)
            if more:
                with pytest.raises(Disconnected):
                    list(found)
            else:
                assert len(next(found).params["subs"]) == MAX_ENTRIES


def test_a_message_is_read_no_further_than_its_commands_are_carried_out() -> None:
    commands = JSON.decode(b'{"id": 1, "connect": {}}\n' * 1000 + b"{")
    assert next(commands).method == "connect"
