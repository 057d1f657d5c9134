package wire

import (
	"strconv"
	"unicode/utf8"
)

// Each Append function appends one event to dst and returns the longer slice.
// Raw JSON (ids, info, content) is copied as it is: it has been checked where
// it came from. "event" comes first, so that a client can tell events apart
// without reading on.

// AppendWelcome appends welcome.
func AppendWelcome(dst []byte, e *Welcome) []byte {
	dst = append(dst, `{"event":"welcome","user_id":`...)
	dst = appendString(dst, e.UserID)
	dst = append(dst, `,"connection_id":`...)
	dst = appendString(dst, e.ConnectionID)
	dst = append(dst, `,"ping_interval_ms":`...)
	dst = strconv.AppendInt(dst, e.PingIntervalMS, 10)
	if e.ExpiresAt != 0 {
		dst = append(dst, `,"expires_at":`...)
		dst = strconv.AppendInt(dst, e.ExpiresAt, 10)
	}
	dst = append(dst, `,"version":`...)
	dst = appendString(dst, e.Version)
	return append(dst, '}')
}

// AppendRefreshed appends refreshed.
func AppendRefreshed(dst []byte, e *Refreshed) []byte {
	dst = append(dst, `{"event":"refreshed"`...)
	dst = appendRaw(dst, `,"id":`, e.ID)
	if e.ExpiresAt != 0 {
		dst = append(dst, `,"expires_at":`...)
		dst = strconv.AppendInt(dst, e.ExpiresAt, 10)
	}
	return append(dst, '}')
}

// AppendDelivery appends chat. The offset comes last, so that it can be added
// to an event that was encoded before its place in the history was known.
func AppendDelivery(dst []byte, e *Delivery) []byte {
	dst = append(dst, `{"event":"chat","from":`...)
	dst = appendString(dst, e.From)
	dst = appendRaw(dst, `,"info":`, e.Info)
	dst = appendOptional(dst, `,"room":`, e.Room)
	if e.Direct {
		dst = append(dst, `,"direct":true`...)
	}
	dst = append(dst, `,"message_id":`...)
	dst = appendString(dst, e.MessageID)
	dst = append(dst, `,"content":`...)
	dst = append(dst, e.Content...)
	dst = appendOffset(dst, e.Offset)
	return append(dst, '}')
}

// AppendAck appends ack.
func AppendAck(dst []byte, e *Acknowledgement) []byte {
	dst = append(dst, `{"event":"ack"`...)
	dst = appendRaw(dst, `,"id":`, e.ID)
	dst = append(dst, `,"message_id":`...)
	dst = appendString(dst, e.MessageID)
	dst = appendOffset(dst, e.Offset)
	dst = appendOptional(dst, `,"epoch":`, e.Epoch)
	return append(dst, '}')
}

// AppendJoined appends joined.
func AppendJoined(dst []byte, e *RoomJoined) []byte {
	dst = append(dst, `{"event":"joined"`...)
	dst = appendRaw(dst, `,"id":`, e.ID)
	dst = append(dst, `,"room":`...)
	dst = appendString(dst, e.Room)
	dst = appendPosition(dst, e.Epoch, e.Offset)
	dst = append(dst, `,"announced":`...)
	dst = strconv.AppendBool(dst, e.Announced)
	if e.Asked {
		dst = append(dst, `,"recovered":`...)
		dst = strconv.AppendBool(dst, e.Recovered)
		if e.Recovered {
			dst = appendMessages(dst, e.Messages)
		}
	}
	return append(dst, '}')
}

// AppendLeft appends left; a nil id and an empty reason are absent.
func AppendLeft(dst, id []byte, room, reason string) []byte {
	dst = append(dst, `{"event":"left"`...)
	dst = appendRaw(dst, `,"id":`, id)
	dst = append(dst, `,"room":`...)
	dst = appendString(dst, room)
	dst = appendOptional(dst, `,"reason":`, reason)
	return append(dst, '}')
}

// AppendUserEvent appends user_joined and user_left (with a room),
// user_connected and user_disconnected (without, and without info).
func AppendUserEvent(dst []byte, event, user string, info []byte, room string) []byte {
	dst = append(dst, `{"event":`...)
	dst = appendString(dst, event)
	dst = append(dst, `,"user_id":`...)
	dst = appendString(dst, user)
	if room != "" {
		dst = appendRaw(dst, `,"info":`, info)
		dst = append(dst, `,"room":`...)
		dst = appendString(dst, room)
	}
	return append(dst, '}')
}

// AppendPresence appends presence.
func AppendPresence(dst []byte, e *PresencePage) []byte {
	dst = append(dst, `{"event":"presence"`...)
	dst = appendRaw(dst, `,"id":`, e.ID)
	dst = append(dst, `,"room":`...)
	dst = appendString(dst, e.Room)
	dst = append(dst, `,"total":`...)
	dst = strconv.AppendInt(dst, int64(e.Total), 10)
	dst = append(dst, `,"users":[`...)
	for i := range e.Users {
		u := &e.Users[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"user_id":`...)
		dst = appendString(dst, u.UserID)
		dst = appendRaw(dst, `,"info":`, u.Info)
		dst = append(dst, `,"connections":`...)
		dst = strconv.AppendInt(dst, int64(u.Connections), 10)
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	dst = appendOptional(dst, `,"cursor":`, e.Cursor)
	return append(dst, '}')
}

// AppendHistory appends history.
func AppendHistory(dst []byte, e *HistoryPage) []byte {
	dst = append(dst, `{"event":"history"`...)
	dst = appendRaw(dst, `,"id":`, e.ID)
	dst = append(dst, `,"room":`...)
	dst = appendString(dst, e.Room)
	dst = appendPosition(dst, e.Epoch, e.Offset)
	dst = appendMessages(dst, e.Messages)
	dst = append(dst, `,"more":`...)
	dst = strconv.AppendBool(dst, e.More)
	dst = appendOptional(dst, `,"cursor":`, e.Cursor)
	if e.Since {
		dst = append(dst, `,"gapless":`...)
		dst = strconv.AppendBool(dst, e.Gapless)
	}
	return append(dst, '}')
}

// AppendHistoryMessage appends a message to what the field messages of joined and
// history holds: messages with commas between.
func AppendHistoryMessage(dst []byte, m *HistoryMessage) []byte {
	if len(dst) > 0 {
		dst = append(dst, ',')
	}
	dst = append(dst, `{"from":`...)
	dst = appendString(dst, m.From)
	dst = appendRaw(dst, `,"info":`, m.Info)
	dst = append(dst, `,"message_id":`...)
	dst = appendString(dst, m.MessageID)
	dst = append(dst, `,"content":`...)
	dst = append(dst, m.Content...)
	dst = append(dst, `,"offset":`...)
	dst = strconv.AppendUint(dst, m.Offset, 10)
	dst = append(dst, `,"time":`...)
	dst = strconv.AppendInt(dst, m.Time, 10)
	return append(dst, '}')
}

func appendMessages(dst, messages []byte) []byte {
	dst = append(dst, `,"messages":[`...)
	dst = append(dst, messages...)
	return append(dst, ']')
}

// AppendGap appends gap.
func AppendGap(dst []byte, e *Gap) []byte {
	dst = append(dst, `{"event":"gap"`...)
	dst = appendOptional(dst, `,"room":`, e.Room)
	dst = append(dst, `,"reason":`...)
	dst = appendString(dst, e.Reason)
	dst = appendPosition(dst, e.Epoch, e.Offset)
	return append(dst, '}')
}

// AppendError appends error.
func AppendError(dst []byte, e *Refusal) []byte {
	dst = append(dst, `{"event":"error"`...)
	dst = appendRaw(dst, `,"id":`, e.ID)
	dst = append(dst, `,"code":`...)
	dst = appendString(dst, string(e.Code))
	dst = append(dst, `,"reason":`...)
	dst = appendString(dst, e.Reason)
	dst = appendOptional(dst, `,"filter":`, e.Filter)
	if e.RetryAfterMS != 0 {
		dst = append(dst, `,"retry_after_ms":`...)
		dst = strconv.AppendInt(dst, e.RetryAfterMS, 10)
	}
	return append(dst, '}')
}

// AppendPing appends ping, the heartbeat of connections with ?ping=json.
func AppendPing(dst []byte) []byte { return append(dst, `{"event":"ping"}`...) }

// AppendPong appends pong, the answer to a client's ping; a nil id is absent.
func AppendPong(dst, id []byte) []byte {
	dst = append(dst, `{"event":"pong"`...)
	dst = appendRaw(dst, `,"id":`, id)
	return append(dst, '}')
}

// appendRaw appends a field of raw JSON, unless it is nil.
func appendRaw(dst []byte, name string, raw []byte) []byte {
	if raw == nil {
		return dst
	}
	dst = append(dst, name...)
	return append(dst, raw...)
}

// appendOptional appends a field with a text, unless that is empty.
func appendOptional(dst []byte, name, text string) []byte {
	if text == "" {
		return dst
	}
	dst = append(dst, name...)
	return appendString(dst, text)
}

// appendOffset appends an offset, unless it is 0: offsets count from 1.
func appendOffset(dst []byte, offset uint64) []byte {
	if offset == 0 {
		return dst
	}
	dst = append(dst, `,"offset":`...)
	return strconv.AppendUint(dst, offset, 10)
}

// appendPosition appends a place in a history, unless there is none. With an epoch
// the offset is there too, 0 included: nothing has been said in the room yet.
func appendPosition(dst []byte, epoch string, offset uint64) []byte {
	if epoch == "" {
		return dst
	}
	dst = append(dst, `,"epoch":`...)
	dst = appendString(dst, epoch)
	dst = append(dst, `,"offset":`...)
	return strconv.AppendUint(dst, offset, 10)
}

// appendString appends s as a JSON string. What is not UTF-8 becomes U+FFFD,
// for a text frame has to be.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	plain := 0 // s[plain:i] is still to be copied
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[plain:i]...)
				dst = append(dst, "\ufffd"...)
				plain = i + 1
			}
			i += size
			continue
		}
		if c < ' ' || c == '"' || c == '\\' {
			dst = append(dst, s[plain:i]...)
			dst = appendEscape(dst, c)
			plain = i + 1
		}
		i++
	}
	dst = append(dst, s[plain:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	const digits = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
}
