package bench

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// state is how far a client has come.
type state uint8

const (
	dialling  state = iota
	upgrading       // connected, and the request is sent
	joining         // upgraded, and the join is sent
	member          // of its room
	gone
)

// client is one connection.
type client struct {
	// Static after construction.
	r      *run
	index  int // of all
	room   *room
	place  int // among the members of the room
	target *target
	token  string
	slow   bool // never reads, once it is a member

	// Owned by the engine.
	fd     int
	polled uint32 // events asked for
	out    []byte // not yet written
	link   *link

	// Owned by the run.
	state     state
	began     int64  // when it was dialled
	rest      []byte // start of a frame, or of the server's answer
	need      int    // bytes of the frame that rest is the start of; 0: not known
	part      []byte // of a message in fragments
	inPart    bool
	partPack  bool // it is compressed
	terms     deflateTerms
	window    []byte     // what compressed messages may refer to
	published uint32     // messages of its own
	denied    uint32     // of these, refused
	doubts    uint32     // of these, answered so that they may have been accepted all the same
	doubtful  int64      // deliveries that are due if they were
	seen      []sequence // of each member of the room
}

// room is a room of the run.
type room struct {
	name    string
	command []byte // a publish, up to its content
	readers int    // members that read
}

// The key of all handshakes, and the answer to it. A server has no use for
// different ones.
var handshakeKey = base64.StdEncoding.EncodeToString([]byte("sluice-bench-key"))

var handshakeAnswer = func() string {
	sum := sha1.Sum([]byte(handshakeKey + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}()

const maxAnswer = 64 << 10 // bytes of a server's answer to a handshake

// connected sends the handshake.
func (c *client) connected() {
	c.state = upgrading
	c.r.engine.write(c, c.target.request(c.r.o.userName(c.r.name, c.index), c.token, c.r.o.TokenQuery, c.r.o.Compress))
}

// ended is called once the transport has.
func (c *client) ended(err error) {
	switch {
	case c.state == gone:
	case c.state == upgrading && len(c.rest) > 0:
		c.answered(c.rest, true)
	default:
		c.lost(causeOf(err), err.Error())
	}
}

// lost ends a connection that the server, or something between, has ended.
func (c *client) lost(cause, reason string) {
	was := c.state
	c.leave()
	switch {
	case c.r.over:
	case c.slow && was == member:
		c.r.tally.slow.add(cause, reason)
	case was == member:
		c.r.tally.closed.add(cause, reason)
	default:
		c.r.tally.refused.add(cause, reason)
		c.r.failed++
	}
}

// leave ends the connection from this side.
func (c *client) leave() {
	if c.state == gone {
		return
	}
	if c.state == member {
		c.r.members--
		if !c.slow {
			c.room.readers-- // what it misses of earlier messages is lost, and nothing later expected
		}
	}
	c.state = gone
	c.rest, c.part, c.window = nil, nil, nil
	c.r.engine.close(c)
}

// received takes what was read: first the rest of what was read before. What is
// left over is kept in rest. now is when it was read.
func (c *client) received(b []byte, now int64) {
	if c.state == upgrading {
		if b = c.answered(b, false); b == nil {
			return
		}
	}
	for c.state == joining || c.state == member {
		h, ok := readHeader(b)
		if !ok {
			c.need = 0
			break
		}
		if isWrong(b, h, c.terms.on) {
			c.lost("protocol_error", "the server sent a frame that RFC 6455 does not allow")
			return
		}
		if c.need = h.size + h.length; len(b) < c.need {
			break
		}
		c.frame(h, b[h.size:c.need], now)
		b, c.need = b[c.need:], 0
	}
	if c.state != gone {
		c.rest = append(c.rest[:0], b...)
	}
}

// answered reads the answer to the handshake, and returns what is behind it;
// nil if there is nothing to go on with.
func (c *client) answered(b []byte, atEnd bool) []byte {
	head, behind, whole := bytes.Cut(b, []byte("\r\n\r\n"))
	if !whole {
		switch {
		case atEnd || len(b) > maxAnswer:
			c.lost("bad_answer", "the answer to the handshake is not HTTP: "+clip(string(b)))
		default:
			c.rest = append(c.rest[:0], b...)
		}
		return nil
	}
	status, proto := 0, ""
	if fields := strings.Fields(firstLine(head)); len(fields) > 1 {
		proto = fields[0]
		status, _ = strconv.Atoi(fields[1])
	}
	if !strings.HasPrefix(proto, "HTTP/1.") {
		c.lost("bad_answer", "the answer to the handshake is not HTTP: "+clip(string(b)))
		return nil
	}
	if status != http.StatusSwitchingProtocols {
		text, whole := bodyOf(b)
		if !whole && !atEnd && len(b) <= maxAnswer {
			c.rest = append(c.rest[:0], b...)
			return nil
		}
		code, reason := refusalOf(status, head, text)
		c.lost(code, reason)
		return nil
	}
	if headerValue(head, "Sec-WebSocket-Accept") != handshakeAnswer {
		c.lost("bad_answer", "the answer to the handshake has the wrong Sec-WebSocket-Accept")
		return nil
	}
	c.terms = parseDeflateTerms(headerValue(head, "Sec-WebSocket-Extensions"))
	if c.terms.on {
		c.r.compressed++
	}
	c.state, c.rest = joining, c.rest[:0]
	c.text([]byte(`{"type":"join_room","room":"` + c.room.name + `"}`))
	if c.state == gone {
		return nil
	}
	return behind
}

// bodyOf is the body of an answer, as far as it has come.
func bodyOf(answer []byte) (body []byte, whole bool) {
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
	if err != nil {
		return nil, true
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	untilEnd := response.ContentLength < 0 && len(response.TransferEncoding) == 0
	return body, err == nil && !untilEnd
}

func firstLine(head []byte) string {
	line, _, _ := bytes.Cut(head, []byte("\r\n"))
	return string(line)
}

// headerValue is the first value of a header; "" without it.
func headerValue(head []byte, name string) string {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		field, value, ok := bytes.Cut(line, []byte(":"))
		if ok && len(field) == len(name) && strings.EqualFold(string(field), name) {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}

// text sends a command.
func (c *client) text(command []byte) {
	packed := false
	if c.terms.on && len(command) < 1<<c.terms.clientMaxBits {
		command, packed = c.r.codec.deflate(command), true
	}
	c.r.frameBuf = appendFrame(c.r.frameBuf[:0], opText, packed, command)
	c.r.engine.write(c, c.r.frameBuf)
}

func (c *client) frame(h header, payload []byte, now int64) {
	switch h.op {
	case opText, opBinary:
		switch {
		case c.inPart:
			c.lost("protocol_error", "the server began a message within another")
		case h.fin:
			c.data(payload, h.compressed, now)
		default:
			c.part, c.inPart, c.partPack = append(c.part[:0], payload...), true, h.compressed
		}
	case opContinuation:
		if !c.inPart || len(c.part)+len(payload) > maxFrame {
			c.lost("protocol_error", "the server sent a fragment of no message, or of one that is too large")
			return
		}
		c.part = append(c.part, payload...)
		if h.fin {
			whole := c.part
			c.part, c.inPart = nil, false
			c.data(whole, c.partPack, now)
		}
	case opPing:
		c.r.pings++
		c.r.frameBuf = appendFrame(c.r.frameBuf[:0], opPong, false, payload)
		c.r.engine.write(c, c.r.frameBuf)
	case opClose:
		cause, reason := "no_code", ""
		if len(payload) >= 2 {
			cause, reason = strconv.Itoa(int(binary.BigEndian.Uint16(payload))), string(payload[2:])
		}
		c.lost(cause, reason)
	}
}

func (c *client) data(payload []byte, packed bool, now int64) {
	if packed {
		plain, err := c.r.codec.inflate(payload, c.window)
		if err != nil {
			c.lost("protocol_error", "a compressed message cannot be read: "+err.Error())
			return
		}
		payload = plain
	}
	if c.terms.on && c.terms.takeover && packed {
		c.window = slide(c.window, payload)
	}
	c.message(payload, now)
}

// message looks for markers, and takes a message without one for an event of
// the protocol.
func (c *client) message(p []byte, now int64) {
	found := false
	for rest := p; ; {
		i := bytes.Index(rest, c.r.prefix)
		if i < 0 {
			break
		}
		rest = rest[i+prefixSize:]
		if m, ok := parseMark(rest); ok {
			found = true
			c.r.arrived(c, m, now)
			rest = rest[markerSize-prefixSize:]
		}
	}
	if !found {
		c.event(p, now)
	}
}
