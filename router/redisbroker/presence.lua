-- Who is in one room, in four keys of one slot:
--
--   KEYS[1]  users    sorted set, scores 0: the users, in the order of their bytes
--   KEYS[2]  entries  hash: "u" USER -> that user's entries, one per node, one after the other
--                           "s" RUN  -> the sum of the checks of that node's entries
--   KEYS[3]  index    sorted set, scores 0: RUN ":" USER, to find what a dead node has left
--   KEYS[4]  nodes    sorted set: RUN, and until when it lives in milliseconds of this Redis's clock
--
-- RUN is 16 hexadecimal digits that a node draws when it starts. An entry is
-- RUN " " CONNECTIONS " " CHECK " " LENGTH " " INFO, with LENGTH bytes of INFO.
-- ARGV[1] says what to do. Whatever the keys hold, a call does a bounded amount of work.

local users, entries, index, nodes = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local malformed = 0

-- split divides a user's entries into those of other nodes and the sum of the
-- checks of this one. What cannot be read ends the list.
local function split(value, run)
  local others, runs, check = {}, {}, 0
  local from = 1
  while value and from <= #value do
    local _, head, node, _, sum, length = string.find(value, '^(%x+) (%d+) (%d+) (%d+) ', from)
    local to = head and #node == 16 and #sum < 13 and #length < 9 and head + tonumber(length)
    if not to or to > #value then
      malformed = malformed + 1
      break
    end
    if node == run then
      check = check + tonumber(sum)
    else
      others[#others + 1] = string.sub(value, from, to)
      runs[#runs + 1] = node
    end
    from = to + 1
  end
  return others, runs, check
end

local living = {}
local function lives(run)
  if living[run] == nil then
    local till = redis.call('ZSCORE', nodes, run)
    living[run] = till ~= false and tonumber(till) > now
  end
  return living[run]
end

-- replace writes what is left of a user's entries. What takes memory away comes
-- first: after it Redis lets the script go on when its memory is full.
local function replace(user, left)
  if left == '' then
    redis.call('ZREM', users, user)
    redis.call('HDEL', entries, 'u' .. user)
  else
    redis.call('HSET', entries, 'u' .. user, left)
  end
end

-- sweep removes at most so many entries of dead nodes, and says whether some remain.
local function sweep(most)
  for _, run in ipairs(redis.call('ZRANGEBYSCORE', nodes, '-inf', now, 'LIMIT', 0, 16)) do
    redis.call('HDEL', entries, 's' .. run) -- if it lives after all, it notices by this
    local left = redis.call('ZRANGEBYLEX', index, '[' .. run .. ':', '(' .. run .. ';', 'LIMIT', 0, most)
    for _, member in ipairs(left) do
      local user = string.sub(member, #run + 2)
      replace(user, table.concat((split(redis.call('HGET', entries, 'u' .. user), run))))
    end
    if #left > 0 then
      redis.call('ZREM', index, unpack(left))
    end
    most = most - #left
    if most <= 0 then
      return true
    end
    redis.call('ZREM', nodes, run)
  end
  return redis.call('ZCOUNT', nodes, '-inf', now) > 0
end

-- forget removes the sums: nodes notice with their next refresh, and compare.
local function forget(run)
  redis.call('HDEL', entries, 's' .. run)
  for _, run in ipairs(redis.call('ZRANGE', nodes, 0, 999)) do
    redis.call('HDEL', entries, 's' .. run)
  end
end

local does = {}

-- put RUN TTL SUM REFRESH, then for each user USER CONNECTIONS CHECK INFO: writes
-- this node's entries; no connections: none. SUM, if not "", is what the sum of
-- the checks was before. Answers with the sum as it is then, how much was
-- malformed, and for each user "1" if another living node has him in the room.
function does.put()
  local run, ttl, refresh = ARGV[2], tonumber(ARGV[3]), ARGV[5] == '1'
  local till = tonumber(redis.call('ZSCORE', nodes, run) or 0)
  local renew = refresh or till < now + ttl / 2
  if renew then
    redis.call('PEXPIRE', nodes, 2 * ttl) -- takes no memory, as in replace
    redis.call('ZADD', nodes, now + ttl, run)
  end
  local keys = redis.call('EXISTS', users, entries, index)
  if keys == 1 or keys == 2 then
    forget(run) -- a full Redis may have evicted one
  end
  if ARGV[4] ~= '' then
    redis.call('HSET', entries, 's' .. run, ARGV[4])
  end
  if refresh then
    sweep(64)
  end
  local elsewhere, delta, added, removed = {}, 0, 0, false
  for i = 6, #ARGV, 4 do
    local user, connections, check = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local others, runs, before = split(redis.call('HGET', entries, 'u' .. user), run)
    local other = '0'
    for _, r in ipairs(runs) do
      if lives(r) then
        other = '1'
      end
    end
    elsewhere[#elsewhere + 1] = other
    if connections == '0' then
      redis.call('ZREM', index, run .. ':' .. user)
      replace(user, table.concat(others))
      delta = delta - before
      removed = true
    else
      others[#others + 1] = run .. ' ' .. connections .. ' ' .. check .. ' ' .. #ARGV[i + 3] .. ' ' .. ARGV[i + 3]
      replace(user, table.concat(others))
      added = added + redis.call('ZADD', users, 0, user)
      redis.call('ZADD', index, 0, run .. ':' .. user)
      delta = delta + tonumber(check) - before
    end
  end
  local sum = redis.call('HGET', entries, 's' .. run) or '0'
  if not string.find(sum, '^%-?%d+$') or #sum > 15 then
    malformed = malformed + 1
    sum = '0'
    redis.call('HSET', entries, 's' .. run, sum)
  end
  if delta ~= 0 then
    sum = string.format('%.0f', redis.call('HINCRBY', entries, 's' .. run, string.format('%.0f', delta)))
  end
  if removed and #redis.call('ZRANGEBYLEX', index, '[' .. run .. ':', '(' .. run .. ';', 'LIMIT', 0, 1) == 0 then
    redis.call('HDEL', entries, 's' .. run)
    redis.call('ZREM', nodes, run)
  end
  if renew or added > 0 and added == redis.call('ZCARD', users) then
    for _, key in ipairs(KEYS) do
      redis.call('PEXPIRE', key, 2 * ttl)
    end
  end
  return {sum, malformed, table.concat(elsewhere)}
end

-- page CURSOR LIMIT: the users behind CURSOR with their entries, how many there
-- are in all, and which nodes live. The first element is 1, and there is no
-- other, while dead nodes' entries are still being removed.
function does.page()
  if sweep(256) then
    return {1}
  end
  local from = ARGV[2] == '' and '-' or '(' .. ARGV[2]
  local page = redis.call('ZRANGEBYLEX', users, from, '+', 'LIMIT', 0, ARGV[3])
  local values = {}
  if #page > 0 then
    local fields = {}
    for i, user in ipairs(page) do
      fields[i] = 'u' .. user
    end
    values = redis.call('HMGET', entries, unpack(fields))
  end
  return {0, redis.call('ZCARD', users), page, values, redis.call('ZRANGEBYSCORE', nodes, '(' .. now, '+inf')}
end

-- own RUN CURSOR LIMIT: the users behind CURSOR of whom this node has entries, and
-- the checks of those.
function does.own()
  local run = ARGV[2]
  local from = ARGV[3] == '' and '[' .. run .. ':' or '(' .. run .. ':' .. ARGV[3]
  local found, checks = {}, {}
  for i, member in ipairs(redis.call('ZRANGEBYLEX', index, from, '(' .. run .. ';', 'LIMIT', 0, ARGV[4])) do
    found[i] = string.sub(member, #run + 2)
    local _, _, check = split(redis.call('HGET', entries, 'u' .. found[i]), run)
    checks[i] = string.format('%.0f', check)
    if check ~= 0 then
      redis.call('ZADD', users, 0, found[i])
    end
  end
  return {found, checks}
end

-- drop RUN: the node is dead from now on. Most rooms are swept by this; of
-- large ones whoever reads them next sweeps the rest.
function does.drop()
  redis.call('PEXPIRE', nodes, 60000)
  redis.call('ZADD', nodes, 'XX', 0, ARGV[2])
  return {sweep(256) and 1 or 0}
end

-- scrub, then for each user USER REMOVE: what cannot be read of his entries, and
-- those of unknown nodes, are removed, with REMOVE "1" all. Answers with how many
-- users are left without any, and so removed. Nodes notice by their sums.
function does.scrub()
  local gone = 0
  for i = 2, #ARGV, 2 do
    local user, known = ARGV[i], {}
    local others, runs = split(redis.call('HGET', entries, 'u' .. user), '')
    for k, run in ipairs(runs) do
      if ARGV[i + 1] ~= '1' and redis.call('ZSCORE', nodes, run) then
        known[#known + 1] = others[k]
      else
        redis.call('ZREM', index, run .. ':' .. user)
        redis.call('HDEL', entries, 's' .. run)
      end
    end
    if #known == 0 then
      gone = gone + 1
    end
    replace(user, table.concat(known))
  end
  forget('')
  return {gone}
end

return does[ARGV[1]]()
