"""What the broker asks of Redis, each in one step."""

from __future__ import annotations

# The stream of a channel: meta {e: epoch, s: offset of the last publication}, and a stream. A meta
# that has gone took the numbers with it, so the stream goes too.
_OPEN = """
local function open(meta, stream, epoch, ttl)
  local found = redis.call('HGET', meta, 'e')
  if not found then
    found = epoch
    redis.call('HSET', meta, 'e', found, 's', 0)
    redis.call('DEL', stream)
  end
  redis.call('PEXPIRE', meta, ttl)
  return found
end
"""
PUBLISH = _OPEN + """
local meta, stream, once, topic = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local epoch, meta_ttl, size, ttl, once_ttl, channel, info, data = unpack(ARGV)
if once_ttl ~= '0' and redis.call('EXISTS', once) == 1 then return 0 end
local offset = '0'
if size ~= '0' then
  epoch = open(meta, stream, epoch, meta_ttl)
  offset = string.format('%.0f', redis.call('HINCRBY', meta, 's', 1))
  redis.call('XADD', stream, 'MAXLEN', size, offset .. '-0', 'i', info, 'd', data)
  redis.call('PEXPIRE', stream, ttl)
end
local message = {'publication', channel, epoch, offset, info, data}
redis.call('PUBLISH', topic, table.concat(message, '\\n'))
if once_ttl ~= '0' then redis.call('SET', once, '', 'PX', once_ttl) end
return 1
"""
READ = _OPEN + """
local epoch = open(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
local limit, first, last = tonumber(ARGV[3]), ARGV[4], ARGV[5]
local entries = {}
if limit > 0 and ARGV[6] == '1' then
  entries = redis.call('XREVRANGE', KEYS[2], last, first, 'COUNT', limit)
elseif limit > 0 then
  entries = redis.call('XRANGE', KEYS[2], first, last, 'COUNT', limit)
end
return {epoch, redis.call('HGET', KEYS[1], 's'), entries}
"""
RENEW = """
if redis.call('HGET', KEYS[1], 'e') == ARGV[1] then redis.call('DEL', KEYS[1], KEYS[2]) end
"""
ADD_PRESENCE = """
local ends = tonumber(redis.call('TIME')[1]) + ARGV[1]
for each = 2, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[each], ARGV[each + 1])
  redis.call('ZADD', KEYS[2], ends, ARGV[each])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[1])
"""
READ_PRESENCE = """
local now = redis.call('TIME')[1]
for _, client in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
  redis.call('HDEL', KEYS[1], client)
  redis.call('ZREM', KEYS[2], client)
end
local clients = redis.call('ZRANGE', KEYS[2], 0, ARGV[1] - 1)
if #clients == 0 then return {} end
return {clients, redis.call('HMGET', KEYS[1], unpack(clients))}
"""
