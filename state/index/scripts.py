"""The Lua scripts. Redis runs each whole or not at all, and no other client's command comes in between.

They trust nothing that they find: a key of another type is deleted or left alone, an entry that cannot be read counts
as none.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from state.index import keys
from state.index.replies import Call, flag, number, texts

_PREPARE = """
local commits, processed, last = KEYS[1], KEYS[2], KEYS[3]
for key, wanted in pairs({[commits] = 'hash', [processed] = 'set', [last] = 'string'}) do
  local found = redis.call('TYPE', key)['ok']
  if found ~= wanted and found ~= 'none' then redis.call('DEL', key) end
end
local function before(a, b) return #a < #b or (#a == #b and a < b) end
"""

COMMIT = (
    _PREPARE
    + """
local taken = 0
for i = 1, #ARGV, 4 do
  local day, generation, predecessor, entry = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3]
  local readable, old = pcall(cjson.decode, redis.call('HGET', commits, day) or '')
  local known = readable and type(old) == 'table' and type(old['generation']) == 'number'
  if not known or old['generation'] < generation or old['nonce'] == predecessor then
    redis.call('HSET', commits, day, entry)
    redis.call('SADD', processed, day)
    local highest = redis.call('GET', last)
    if not highest or before(highest, day) then redis.call('SET', last, day) end
    taken = taken + 1
  end
end
return taken
"""
)

RECONCILE = (
    _PREPARE
    + """
local left = {}
for i = 1, #ARGV, 3 do
  local day, expected, desired = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if (redis.call('HGET', commits, day) or '') == expected then
    if desired == '' then
      redis.call('HDEL', commits, day)
      redis.call('SREM', processed, day)
    else
      redis.call('HSET', commits, day, desired)
      redis.call('SADD', processed, day)
    end
  else
    left[#left + 1] = day
  end
end
local highest = nil
for _, day in ipairs(redis.call('SMEMBERS', processed)) do
  if not highest or before(highest, day) then highest = day end
end
if highest then redis.call('SET', last, highest) else redis.call('DEL', last) end
return left
"""
)

TAKE_OVER = """
if redis.call('TYPE', KEYS[1])['ok'] ~= 'string' then redis.call('DEL', KEYS[1]) end
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""

_IF_OWN = """
if redis.call('TYPE', KEYS[1])['ok'] ~= 'string' or redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
"""

RENEW = _IF_OWN + "return redis.call('PEXPIRE', KEYS[1], ARGV[2])"

RELEASE = _IF_OWN + "return redis.call('DEL', KEYS[1])"


def commit(namespace: str, aggregation: str, commits: Iterable[tuple[str, int, str, bytes]]) -> Call:
    """Move entries forward, from (day, generation, predecessor's nonce, entry). Replies how many moved."""
    names = keys.of_aggregation(namespace, aggregation)
    return Call(("EVAL", COMMIT, len(names), *names, *chain.from_iterable(commits)), number)


def reconcile(namespace: str, aggregation: str, changes: Iterable[tuple[bytes, bytes, bytes]]) -> Call:
    """Set entries, from (day, entry as it was read, entry as it should be); empty means no entry.

    Replies the days whose entry is no longer as it was read; those are left alone.
    """
    names = keys.of_aggregation(namespace, aggregation)
    return Call(("EVAL", RECONCILE, len(names), *names, *chain.from_iterable(changes)), texts)


def take_over(lease: str, found: bytes, token: bytes, milliseconds: int) -> Call:
    """Replace a lease that still has the token ``found`` (empty: none, or not a string). Replies whether it did."""
    return Call(("EVAL", TAKE_OVER, 1, lease, found, token, milliseconds), flag)


def renew(lease: str, token: bytes, milliseconds: int) -> Call:
    """Extend a lease that still has this token. Replies whether it did."""
    return Call(("EVAL", RENEW, 1, lease, token, milliseconds), flag)


def release(lease: str, token: bytes) -> Call:
    """Delete a lease that still has this token. Replies whether it did."""
    return Call(("EVAL", RELEASE, 1, lease, token), flag)
