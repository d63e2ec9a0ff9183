"""The record under a key in Redis, and the scripts that change it in one step.

A record is either a value or the mark of a lease; both begin with a kind and a token. So one
command, `SET key mark NX GET`, reads the value or takes the lease; deleting the key takes both
away; and a fill succeeds only where the token is still the one that it began with.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from struct import Struct

from strongback.cache.storage import BUSY, MISSING, Busy, Codec, Item, Lease, Missing

LEASE, AWAITED = b"L", b"W"
"""Kinds of marks: of a lease, and of one that another process waits for."""

_VALUE, _ABSENT = b"VA"
_HEAD = Struct("<B8sddd")
"""Kind, token, when it becomes stale and when it ends (seconds since 1970), cost in seconds."""
_SIZE, _unpack = _HEAD.size, _HEAD.unpack_from
_MARK = 9
"""Length of a lease's mark: kind and token."""

# KEYS: names. ARGV: mark, milliseconds.
ACQUIRE = """
local found = {}
for i, key in ipairs(KEYS) do
  found[i] = redis.call('SET', key, ARGV[1], 'NX', 'GET', 'PX', ARGV[2])
end
return found
"""
# KEYS: name. ARGV: mark, milliseconds.
WAIT = """
if redis.call('GETRANGE', KEYS[1], 0, 0) == 'L' then redis.call('SETRANGE', KEYS[1], 0, 'W') end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'GET', 'PX', ARGV[2])
"""
# KEYS: names. ARGV: channel; for each key token, value, milliseconds, message to waiters.
FILL = """
local filled = {}
for i, key in ipairs(KEYS) do
  local held, at = redis.call('GETRANGE', key, 0, 8), 4 * i - 2
  filled[i] = 0
  if string.sub(held, 2) == ARGV[at] then
    redis.call('SET', key, ARGV[at + 1], 'PX', ARGV[at + 2])
    if string.byte(held) == 87 then redis.call('PUBLISH', ARGV[1], ARGV[at + 3]) end
    filled[i] = 1
  end
end
return filled
"""
# KEYS: names. ARGV: channel; for each key token, message to waiters.
RELEASE = """
for i, key in ipairs(KEYS) do
  local held = redis.call('GETRANGE', key, 0, 8)
  local kind = string.sub(held, 1, 1)
  if string.sub(held, 2) == ARGV[2 * i] and (kind == 'L' or kind == 'W') then
    redis.call('DEL', key)
    if kind == 'W' then redis.call('PUBLISH', ARGV[1], ARGV[2 * i + 1]) end
  end
end
"""
# KEYS: names. ARGV: channel; a message for each key.
REMOVE = """
for i, key in ipairs(KEYS) do
  redis.call('DEL', key)
  redis.call('PUBLISH', ARGV[1], ARGV[i + 1])
end
"""


def new_token() -> bytes:
    """Return a token, which tells writes apart and hides nothing."""
    # Chance enough for what lives a few minutes, and a tenth of the price of the system's.
    return random.getrandbits(64).to_bytes(8)


def write(item: Item, codec: Codec) -> bytes:
    """Write an item as a record."""
    now, kind = time.time(), _ABSENT if item.value is None else _VALUE
    head = _HEAD.pack(kind, new_token(), now + item.fresh, now + item.kept, item.cost)
    return head if item.value is None else head + codec.encode(item.value)


def read_all(
    records: Sequence[bytes | None],
    codec: Codec,
    token: bytes,
    on_unreadable: Callable[[Exception], None],
) -> list[Item | Lease | Busy | Missing]:
    """Read records: items, and leases on those that are not there.

    Args:
        records: Values, marks of leases, or None.
        codec: Decodes the values.
        token: The caller's own token; empty for one who looks for items alone.
        on_unreadable: Called with the error of a value that cannot be decoded, and is replaced.
    """
    absent = Lease(token) if token else MISSING
    now, decode, size, unpack, new = time.time(), codec.decode, _SIZE, _unpack, tuple.__new__
    found: list[Item | Lease | Busy | Missing] = []
    for data in records:
        if data is None:
            found.append(absent)
            continue
        try:
            kind, written, stale, end, cost = unpack(data)
            value = None if kind == _ABSENT else decode(data[size:])
        except Exception as error:  # noqa: BLE001  whatever a codec raises
            if len(data) == _MARK and data[:1] in (LEASE, AWAITED):
                found.append(BUSY if token and data[1:] != token else absent)
            else:
                on_unreadable(error)
                found.append(Lease(data[1:9]) if token else absent)
            continue
        # As Item(…) does, in a third of the time.
        found.append(new(Item, (value, stale - now, end - now, cost, written)))
    return found
