#!lua
-- Accepts one message of a room, of a user, or of everyone: remembers its
-- idempotency key, gives it its place in the room's history, and publishes it.
--
-- KEYS  stream and meta if size is not 0, then once if key_ttl is not 0
-- ARGV  command   PUBLISH, or SPUBLISH in a Cluster
--       channel
--       envelope
--       id        of the message
--       key_ttl   ms; 0: the message has no key
--       size      messages to keep; 0: the room has no history
--       ttl       ms; 0: the history does not end
--       grace     ms by which meta outlives the stream
--       fresh     an epoch that was never used
-- Reply {epoch, offset, why the epoch began, or ''}, or of a repetition {first receipt}
--
-- What the keys hold:
--   stream  entries OFFSET-0 with one field, m: the envelope
--   meta    "EPOCH OFFSET STAMP": the newest message's place, and the
--           replication id of the Redis that wrote it. A Redis with another id may have
--           lost messages that were numbered: the epoch ends there, the offsets go on.
--           An epoch of more than 32 characters, or an offset of 2^52 or more, is none of ours
--   once    the header and the id of the first message with this key
--
-- The script has no flags, so Redis refuses it as a whole when it is out of
-- memory, cannot write to disk or is a replica. Everything that can fail after that
-- (a key of another type) fails at or before the first write.
local command, channel, envelope, id, key_ttl, size, ttl, grace, fresh = unpack(ARGV)

local once
if key_ttl ~= '0' then
  once = KEYS[#KEYS]
  local first = redis.call('GET', once)
  if first then
    return {first}
  end
end

local epoch, offset, began, header = '', 0, '', '-'
if size ~= '0' then
  local stream, meta = KEYS[1], KEYS[2]
  local info = redis.call('INFO', 'replication')
  local _, found = string.find(info, 'master_replid:', 1, true) -- a microsecond faster than a pattern
  local stamp = string.sub(info, found + 1, found + 40)
  local state = redis.call('GET', meta)
  local e, o, s = string.match(state or '', '^(%w+) (%d+) (%x+)$')
  if e and #e <= 32 and tonumber(o) < 2^52 then
    epoch, offset = e, tonumber(o)
    if s ~= stamp then
      epoch, began = fresh, 'stamp'
    end
  else
    epoch, began = fresh, state and 'foreign' or 'new'
  end

  -- nil if the stream is there but does not take the next offset; false if it
  -- is not there, but should be
  local function append(make)
    local at = string.format('%d-0', offset + 1)
    local reply
    if make then
      reply = redis.pcall('XADD', stream, 'MAXLEN', '=', size, at, 'm', envelope)
    else
      reply = redis.pcall('XADD', stream, 'NOMKSTREAM', 'MAXLEN', '=', size, at, 'm', envelope)
    end
    if type(reply) == 'table' and reply.err then
      if not string.find(reply.err, 'equal or smaller', 1, true) and not string.find(reply.err, 'exhausted', 1, true) then
        error(reply)
      end
      return nil
    end
    return reply
  end

  local added = append(offset == 0)
  if added == false then
    local left = redis.call('PTTL', meta)
    if left < 0 or left > tonumber(grace) then -- it has not ended by its ttl
      epoch, offset, began = fresh, 0, 'lost'
    end
    added = append(true)
  end
  if added == nil then -- an older epoch's stream, or others have written to it
    redis.call('DEL', stream)
    if epoch ~= fresh then
      epoch, began = fresh, 'foreign'
    end
    append(true)
  end

  offset = offset + 1
  local place = string.format('%d', offset)
  state = epoch .. ' ' .. place .. ' ' .. stamp
  if ttl == '0' then
    redis.call('SET', meta, state)
    redis.call('PERSIST', stream)
  else
    redis.call('SET', meta, state, 'PX', string.format('%d', ttl + grace))
    redis.call('PEXPIRE', stream, ttl)
  end
  header = epoch .. ':' .. place .. ':'
end

if once then
  redis.call('SET', once, header .. id, 'PX', key_ttl)
end
redis.call(command, channel, header .. envelope)
return {epoch, offset, began}
