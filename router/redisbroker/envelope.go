package redisbroker

import (
	"encoding/binary"
	"errors"
	"math"

	"sluice/router"
	"sluice/router/wire"
)

// A payload, as it comes on a channel, is a header and an envelope; a stream has the
// envelope alone, the entry's id being its offset:
//
//	payload  = header envelope
//	header   = "-" | EPOCH ":" OFFSET ":"       "-": it has no place in a history
//	envelope = major kind field*
//	field    = number length value              both uvarints
//
// EPOCH is 1 to 32 letters and digits, OFFSET a decimal from 1 on, major and kind
// one byte each. Fields stand in the order of their numbers, each at most once,
// and absent if empty or zero. Integers are uvarints, as long as their field says.
//
// Nodes of two releases run together: a later release adds fields, which an
// earlier one skips, or kinds, which an earlier one drops. What it cannot express
// so needs another major version, which an earlier release refuses. The room or
// user is not in the envelope but in the channel's or the stream's name.
const envelopeMajor = 1

// Numbers of fields. Those before fieldInfo are short.
const (
	fieldID      = 1
	fieldFrom    = 2
	fieldConn    = 3
	fieldTime    = 4
	fieldKey     = 5
	fieldInfo    = 6
	fieldContent = 7
)

const (
	maxEpoch = 32  // bytes
	maxID    = 128 // bytes; ours have 20
	maxKey   = 1024
)

// malformed is why a payload was refused.
type malformed struct {
	event  event
	reason string
}

func (m *malformed) Error() string { return "malformed message: " + m.reason }

var (
	errHeader  = &malformed{malformedHeader, "its header is no position"}
	errVersion = &malformed{malformedVersion, "its version is not supported"}
	errKind    = &malformed{malformedVersion, "its kind is unknown"}
	errField   = &malformed{malformedEnvelope, "a field is cut short or out of order"}
	errValue   = &malformed{malformedEnvelope, "a value is out of its bounds"}
	errNoID    = &malformed{malformedEnvelope, "it has no id"}
	errTopic   = &malformed{malformedTopic, "it does not belong on its channel"}
	errContent = &malformed{malformedContent, "its content or info is not JSON"}
)

// countMalformed counts a payload that decodeMessage refused.
func (b *Broker) countMalformed(err error) {
	e := malformedEnvelope
	if m := (*malformed)(nil); errors.As(err, &m) {
		e = m.event
	}
	b.count(e)
}

// topicOf is where a message is published; ok is false if its kind is unknown.
// Broadcasts and orders have the zero topic.
func topicOf(m *router.Message) (t router.Topic, ok bool) {
	switch m.Kind {
	case router.RoomMessage, router.UserJoined, router.UserLeft:
		return router.Topic{Name: m.Room}, m.Room != ""
	case router.DirectMessage:
		return router.Topic{User: true, Name: m.Target}, m.Target != ""
	case router.BroadcastMessage, router.UserConnected, router.UserDisconnected, router.ControlMessage:
		return router.Topic{}, true
	}
	return router.Topic{}, false
}

// appendMessage appends the envelope of m, without a header.
func appendMessage(dst []byte, m *router.Message) []byte {
	dst = append(dst, envelopeMajor, byte(m.Kind))
	dst = appendText(dst, fieldID, m.ID)
	dst = appendText(dst, fieldFrom, m.From)
	dst = appendNumber(dst, fieldConn, m.Conn)
	dst = appendNumber(dst, fieldTime, uint64(max(m.Time, 0)))
	dst = appendText(dst, fieldKey, m.Key)
	dst = appendText(dst, fieldInfo, m.Info)
	return appendText(dst, fieldContent, m.Content)
}

func appendText[T string | []byte](dst []byte, field byte, text T) []byte {
	if len(text) == 0 {
		return dst
	}
	dst = append(dst, field)
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

func appendNumber(dst []byte, field byte, n uint64) []byte {
	if n == 0 {
		return dst
	}
	dst = append(dst, field, 0)
	length := len(dst)
	dst = binary.AppendUvarint(dst, n)
	dst[length-1] = byte(len(dst) - length)
	return dst
}

// appendHeader appends the header of a position; that of the zero one is "-".
func appendHeader(dst []byte, p router.Position) []byte {
	if p == (router.Position{}) {
		return append(dst, '-')
	}
	dst = append(dst, p.Epoch...)
	dst = append(dst, ':')
	dst = appendDecimal(dst, p.Offset)
	return append(dst, ':')
}

func appendDecimal(dst []byte, n uint64) []byte {
	var digits [20]byte
	i := len(digits)
	for {
		i--
		digits[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return append(dst, digits[i:]...)
		}
	}
}

// header is where the pieces of a payload lie.
type header struct {
	epoch    int // bytes of the epoch, which the payload begins with
	offset   uint64
	envelope int // where it begins
}

func parseHeader(payload []byte) (h header, ok bool) {
	if len(payload) == 0 {
		return h, false
	}
	if payload[0] == '-' {
		h.envelope = 1
		return h, true
	}
	i := 0
	for i < len(payload) && i <= maxEpoch && isAlphanumeric(payload[i]) {
		i++
	}
	if i == 0 || i > maxEpoch || i == len(payload) || payload[i] != ':' {
		return h, false
	}
	h.epoch = i
	i++
	for first := i; ; i++ {
		if i == len(payload) {
			return h, false
		}
		c := payload[i]
		if c == ':' && i > first {
			h.envelope = i + 1
			return h, true
		}
		if c < '0' || c > '9' || i == first && c == '0' || h.offset > (math.MaxUint64-9)/10 {
			return h, false
		}
		h.offset = h.offset*10 + uint64(c-'0')
	}
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// decodeMessage decodes a payload that came on the channel of t, or from the
// stream of room t. Info and Content of the message share memory with the payload.
func decodeMessage(t router.Topic, payload []byte) (*router.Message, error) {
	h, ok := parseHeader(payload)
	if !ok {
		return nil, errHeader
	}
	body := payload[h.envelope:]
	if len(body) < 2 {
		return nil, errField
	}
	if body[0] != envelopeMajor {
		return nil, errVersion
	}
	d := decoder{payload: payload, at: h.envelope + 2}
	m := &router.Message{Kind: router.MessageKind(body[1])}
	if err := place(m, t); err != nil {
		return nil, err
	}
	if err := d.fields(m); err != nil {
		return nil, err
	}
	d.texts(m, h)
	m.Offset = h.offset
	return m, harmless(m)
}

// place sets a message's room or target.
func place(m *router.Message, t router.Topic) error {
	room, user := t.Name != "" && !t.User, t.Name != "" && t.User
	switch m.Kind {
	case router.RoomMessage, router.UserJoined, router.UserLeft:
		if !room {
			return errTopic
		}
		m.Room = t.Name
	case router.DirectMessage:
		if !user {
			return errTopic
		}
		m.Target = t.Name
	case router.BroadcastMessage, router.UserConnected, router.UserDisconnected, router.ControlMessage:
		if room || user {
			return errTopic
		}
	default:
		return errKind
	}
	return nil
}

// harmless refuses what would do harm on the way to clients.
func harmless(m *router.Message) error {
	if m.Kind == router.ControlMessage {
		return nil // clients never see it, and who reads it parses it
	}
	if m.ID == "" {
		return errNoID
	}
	if m.Epoch != "" && m.Kind != router.RoomMessage {
		return errTopic // nothing else is in a history
	}
	if len(m.Info) > 0 && wire.CheckJSON(m.Info) != "" || len(m.Content) > 0 && wire.CheckJSON(m.Content) != "" {
		return errContent
	}
	return nil
}

// span is a piece of a payload.
type span struct{ from, to int }

// decoder walks over the fields of one payload.
type decoder struct {
	payload       []byte
	at            int
	id, from, key span
}

func (d *decoder) uvarint() (uint64, bool) {
	n, size := binary.Uvarint(d.payload[d.at:])
	if size <= 0 {
		return 0, false
	}
	d.at += size
	return n, true
}

func (d *decoder) fields(m *router.Message) error {
	for last := uint64(0); d.at < len(d.payload); {
		number, ok := d.uvarint()
		if !ok || number <= last {
			return errField
		}
		last = number
		length, ok := d.uvarint()
		if !ok || length > uint64(len(d.payload)-d.at) {
			return errField
		}
		value := span{d.at, d.at + int(length)}
		d.at = value.to
		if err := d.field(m, number, value); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) field(m *router.Message, number uint64, value span) error {
	raw := d.payload[value.from:value.to:value.to]
	if len(raw) == 0 {
		raw = nil
	}
	switch number {
	case fieldID:
		d.id = value
		return bound(len(raw) <= maxID && plain(raw))
	case fieldFrom:
		d.from = value
		return bound(wire.CheckName(raw) == "")
	case fieldKey:
		d.key = value
		return bound(len(raw) <= maxKey)
	case fieldConn, fieldTime:
		n, size := binary.Uvarint(raw)
		if size <= 0 || size != len(raw) || number == fieldTime && n > math.MaxInt64 {
			return errValue
		}
		if number == fieldConn {
			m.Conn = n
		} else {
			m.Time = int64(n)
		}
	case fieldInfo:
		m.Info = raw
	case fieldContent:
		m.Content = raw
	}
	return nil // of a later version: skipped
}

func bound(ok bool) error {
	if !ok {
		return errValue
	}
	return nil
}

// plain reports that b is printable ASCII.
func plain(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// texts makes all strings of a message parts of one, so that they cost one
// allocation. They stand before info and content, which are not copied.
func (d *decoder) texts(m *router.Message, h header) {
	end := max(h.epoch, d.id.to, d.from.to, d.key.to)
	head := string(d.payload[:end])
	m.Epoch = head[:h.epoch]
	m.ID = head[d.id.from:d.id.to]
	m.From = head[d.from.from:d.from.to]
	m.Key = head[d.key.from:d.key.to]
}
