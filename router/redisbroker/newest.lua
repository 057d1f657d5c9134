#!lua
-- Tells the place of a room's newest message, and begins an epoch where the
-- history needs one. It refreshes nothing.
--
-- KEYS  stream, meta: see publish.lua
-- ARGV  begin     1: the room has a history, even if none is there
--       ttl       ms; 0: the history does not end
--       grace     ms by which meta outlives the stream
--       fresh     an epoch that was never used
-- Reply {epoch, offset, why the epoch began, or ''}, or {} without a history
local begin, ttl, grace, fresh = unpack(ARGV)
local stream, meta = KEYS[1], KEYS[2]
local stamp = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local state = redis.call('GET', meta)
local epoch, offset, written = string.match(state or '', '^(%w+) (%d+) (%x+)$')

if not epoch or #epoch > 32 or tonumber(offset) >= 2^52 then
  if begin ~= '1' then
    return {}
  end
  state = fresh .. ' 0 ' .. stamp
  if ttl == '0' then
    redis.call('SET', meta, state)
  else
    redis.call('SET', meta, state, 'PX', string.format('%d', ttl + grace))
  end
  redis.call('DEL', stream) -- of an epoch that nobody knows any more
  return {fresh, 0, 'new'}
end

local began = ''
if offset ~= '0' and redis.call('EXISTS', stream) == 0 then
  local left = redis.call('PTTL', meta)
  if left < 0 or left > tonumber(grace) then -- it has not ended by its ttl
    offset, began = '0', 'lost'
  end
end
if written ~= stamp and began == '' then
  began = 'stamp'
end
if began ~= '' then
  epoch = fresh
  redis.call('SET', meta, epoch .. ' ' .. offset .. ' ' .. stamp, 'KEEPTTL')
end
return {epoch, tonumber(offset), began}
