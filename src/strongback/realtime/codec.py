"""Frames of both encodings, to commands and from replies.

A reply is a dict in the shape of the protocol's JSON, and so are the parameters of a command.
Fields that the schema calls `bytes` hold JSON text. The schema is `client.proto`, for both, and
`client.binpb` is what `protoc` makes of it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessages
from google.protobuf.proto import parse_length_prefixed, serialize_length_prefixed
from websockets.frames import Frame, Opcode

from strongback.realtime.message import BAD_PROTOCOL, Disconnected

MAX_ENTRIES = 128
"""Entries of a map, which take a thousand times as long as other bytes of a message."""

Params = dict[str, Any]
Reply = dict[str, Any]

_SCHEMA = FileDescriptorSet.FromString(Path(__file__).with_name("client.binpb").read_bytes())
_MESSAGES: dict[str, Any] = {**GetMessages(_SCHEMA.file)}
_CommandMessage = _MESSAGES["strongback.realtime.Command"]
_ReplyMessage = _MESSAGES["strongback.realtime.Reply"]
_COMMAND = cast("Descriptor", _CommandMessage.DESCRIPTOR)
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64),
}


class Write(Protocol):
    """Sends a frame, without waiting."""

    def __call__(self, frame: bytes, /) -> None:
        """Send it."""
        ...


class Command(NamedTuple):
    """A command of a client; one without id and method answers a ping."""

    id: int
    method: str
    params: Params


@dataclass(frozen=True, eq=False, slots=True)
class Encoding:
    """How a connection writes messages."""

    decode: Callable[[bytes], Iterator[Command]]
    """Reads the commands of a message, one by one, so that no more are read than carried out.
    Raises `Disconnected` (3501) for one that cannot be read, or is empty."""
    frame: Callable[[Reply], bytes]
    """Returns a WebSocket frame with a reply or push."""


def _decode_json(message: bytes) -> Iterator[Command]:
    """Read a JSON object on each line."""
    _require(message.strip())
    for line in message.split(b"\n"):
        if not line or line.isspace():
            continue
        try:
            fields = _checked(orjson.loads(line), _COMMAND)
        except (ValueError, TypeError) as error:
            raise Disconnected(BAD_PROTOCOL) from error
        yield _command(fields)


def _json_frame(reply: Reply) -> bytes:
    data = orjson.dumps(reply, default=orjson.Fragment)
    return Frame(Opcode.TEXT, data).serialize(mask=False)


def _decode_protobuf(message: bytes) -> Iterator[Command]:
    """Read Protobuf messages, each after its length."""
    _require(message)
    source = io.BytesIO(message)
    while source.tell() < len(message):
        try:
            fields = _plain(parse_length_prefixed(_CommandMessage, source))
        except (DecodeError, ValueError, OverflowError) as error:  # a length of 64 bits
            raise Disconnected(BAD_PROTOCOL) from error
        yield _command(fields)


def _protobuf_frame(reply: Reply) -> bytes:
    target = io.BytesIO()
    serialize_length_prefixed(_ReplyMessage(**reply), target)
    return Frame(Opcode.BINARY, target.getvalue()).serialize(mask=False)


JSON = Encoding(_decode_json, _json_frame)
PROTOBUF = Encoding(_decode_protobuf, _protobuf_frame)


dump = orjson.dumps
load = orjson.loads


def _require(message: bytes) -> None:
    """Refuse a message without commands, which costs time and counts for none."""
    if not message:
        raise Disconnected(BAD_PROTOCOL)


def _command(fields: Params) -> Command:
    number = fields.pop("id", 0)
    method, params = next(iter(fields.items()), ("", {}))
    return Command(number, method, params)


def _checked(value: object, schema: Descriptor) -> Params:
    """Take what the schema knows out of a JSON object, without defaults as in Protobuf."""
    if not isinstance(value, dict):
        raise TypeError("no object")
    known = schema.fields_by_name
    fields = ((known[name], item) for name, item in value.items() if name in known)
    checked = ((field, _field(item, field)) for field, item in fields if item is not None)
    return {field.name: item for field, item in checked if item or _is_object(field)}


def _is_object(field: FieldDescriptor) -> bool:
    """Whether it is there even if it is empty: a map is not."""
    inner = field.message_type
    return inner is not None and not inner.GetOptions().map_entry


def _field(value: object, field: FieldDescriptor) -> object:
    inner = field.message_type
    if inner is None:
        return _scalar(value, field)
    if _is_object(field):
        return _checked(value, inner)
    if not isinstance(value, dict) or len(value) > MAX_ENTRIES:
        raise TypeError("no object, or too large a one")
    item = cast("Descriptor", inner.fields_by_name["value"].message_type)
    return {key: _checked(each, item) for key, each in value.items()}


def _scalar(value: object, field: FieldDescriptor) -> object:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return orjson.dumps(value)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING and isinstance(value, str):
        return value
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL and isinstance(value, bool):
        return value
    low, high = _INTEGERS.get(field.cpp_type, (0, 0))
    if isinstance(value, int) and not isinstance(value, bool) and low <= value < high:
        return value
    raise TypeError(f"{field.name} has another type")


def _plain(message: Message) -> Params:
    return {field.name: _value(value) for field, value in message.ListFields()}


def _value(value: Any) -> object:  # noqa: ANN401  Protobuf's values
    if isinstance(value, Message):
        return _plain(value)
    if isinstance(value, (str, bytes, int)):
        return value
    if len(value) > MAX_ENTRIES:
        raise ValueError("too large a map")
    return {key: _plain(item) for key, item in value.items()}
