#!lua flags=no-writes
-- Reads a part of a room's history, together with the place of the newest message.
--
-- KEYS  stream, meta: see publish.lua
-- ARGV  direction  > forward from an id, < backward
--       from       an id, exclusive; forward it is one of epoch
--       epoch
--       limit      entries
--       bytes      of entries: the one that exceeds it is the last; 0: no bound
--       grace      ms by which meta outlives the stream
-- Reply {epoch, offset, suspect, cut, id, envelope, id, envelope, …}, or {} without a
--       history; suspect is 1 if the epoch has ended and newest.lua must begin
--       another, cut if bytes left out entries behind the last one; an envelope is ''
--       if the entry is none of ours
local direction, from, epoch, limit, bytes, grace = unpack(ARGV)
local stream, meta = KEYS[1], KEYS[2]
limit, bytes = tonumber(limit), tonumber(bytes)
local info = redis.call('INFO', 'replication')
if not string.find(info, 'role:master', 1, true) then
  return redis.error_reply('READONLY a replica may lag behind')
end
local stamp = string.match(info, 'master_replid:(%x+)')
local current, offset, written = string.match(redis.call('GET', meta) or '', '^(%w+) (%d+) (%x+)$')
if not current or #current > 32 or tonumber(offset) >= 2^52 then
  return {}
end

local suspect = 0
if written ~= stamp then
  suspect = 1
elseif offset ~= '0' and redis.call('EXISTS', stream) == 0 then
  local left = redis.call('PTTL', meta)
  if left < 0 or left > tonumber(grace) then
    suspect = 1
  end
end

local function read(from, count)
  if direction == '>' then
    return redis.call('XRANGE', stream, from, '+', 'COUNT', count)
  end
  return redis.call('XREVRANGE', stream, from, '-', 'COUNT', count)
end

local reply, size = {current, tonumber(offset), suspect, 0}, 0
if direction == '>' and epoch ~= current then
  from = '-'
end
while limit > 0 do
  local count = math.min(limit, 32)
  local entries = read(from, count)
  for _, entry in ipairs(entries) do
    local fields = entry[2]
    local envelope = ''
    if #fields == 2 and fields[1] == 'm' then
      envelope = fields[2]
    end
    reply[#reply + 1] = entry[1]
    reply[#reply + 1] = envelope
    size = size + #envelope
    if bytes > 0 and size > bytes then
      reply[4] = #read('(' .. entry[1], 1)
      return reply
    end
  end
  if #entries < count then
    return reply
  end
  limit = limit - count
  from = '(' .. entries[#entries][1]
end
return reply
