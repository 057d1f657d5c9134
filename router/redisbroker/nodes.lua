-- The nodes of a deployment, in two keys of one slot:
--
--   KEYS[1]  hash: ID -> RUN " " FIRST " " LAST " " INFO, as the node with that id last wrote
--   KEYS[2]  sorted set: ID, and until when it lives
--
-- Times are milliseconds of this Redis's clock: FIRST and LAST are when the node wrote
-- first and last, and RUN is 16 hexadecimal digits that it draws when it starts.
-- ARGV[1] says what to do.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local does = {}

-- beat ID RUN FIRST TTL INFO: the node lives. FIRST is "" at first. Nodes that
-- live no more are removed, some at a time. Answers with the time, and what was
-- there before.
function does.beat()
  local id, run, ttl = ARGV[2], ARGV[3], tonumber(ARGV[5])
  for _, key in ipairs(KEYS) do
    redis.call('PEXPIRE', key, 10 * ttl) -- needs no memory: after it Redis lets a script go on when that is full
  end
  local gone = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 100)
  if #gone > 0 then
    redis.call('ZREM', KEYS[2], unpack(gone))
    redis.call('HDEL', KEYS[1], unpack(gone))
  end
  local before = redis.call('HGET', KEYS[1], id) or ''
  local first = ARGV[4] == '' and tostring(now) or ARGV[4]
  redis.call('HSET', KEYS[1], id, run .. ' ' .. string.format('%.0f', first) .. ' ' .. string.format('%.0f', now) .. ' ' .. ARGV[6])
  redis.call('ZADD', KEYS[2], now + ttl, id)
  for _, key in ipairs(KEYS) do
    redis.call('PEXPIRE', key, 10 * ttl)
  end
  return {now, before}
end

-- all: the time, the ids of at most 10,000 nodes that live, and what they wrote.
function does.all()
  local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. string.format('%.0f', now), '+inf', 'LIMIT', 0, 10000)
  local values = {}
  for from = 1, #ids, 1000 do
    for _, value in ipairs(redis.call('HMGET', KEYS[1], unpack(ids, from, math.min(from + 999, #ids)))) do
      values[#values + 1] = value or ''
    end
  end
  return {now, ids, values}
end

-- leave ID RUN: the node is gone, if it is the one that wrote.
function does.leave()
  local value = redis.call('HGET', KEYS[1], ARGV[2])
  if value and string.sub(value, 1, #ARGV[3]) == ARGV[3] then
    redis.call('HDEL', KEYS[1], ARGV[2])
    redis.call('ZREM', KEYS[2], ARGV[2])
  end
  return {now}
end

return does[ARGV[1]]()
