"""The index's two atomic steps, as Lua: Redis runs each whole or not at all, and no other client comes in between.

Both take an aggregation's three keys and trust nothing that they find there: a key of another type is deleted, an
entry that cannot be read counts as none.
"""

from __future__ import annotations

from collections.abc import Iterable

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


def commit_arguments(commits: Iterable[tuple[str, int, str, bytes]]) -> list[str | int | bytes]:
    """Arguments of COMMIT from (day, generation, nonce of the predecessor, entry)."""
    return [value for commit in commits for value in commit]


def reconcile_arguments(changes: Iterable[tuple[bytes, bytes, bytes]]) -> list[bytes]:
    """Arguments of RECONCILE from (day, entry as it was read, entry as it should be); empty means no entry."""
    return [value for change in changes for value in change]
