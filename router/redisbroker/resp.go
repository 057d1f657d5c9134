package redisbroker

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// A subscription connection speaks RESP 3, of which this file has what it needs:
// commands are arrays of bulk strings, and what comes is read piece by piece, so
// that a message costs one allocation and a payload beyond the bound none.

const (
	respBuffer  = 64 << 10  // bytes of a subscription's; a line is shorter
	respBulk    = 512 << 20 // bytes; Redis has none longer
	respDepth   = 16        // aggregates within each other
	maxChannel  = 16 << 10  // bytes; ours are shorter
	wordMessage = "message"
)

var errProtocol = errors.New("redis does not keep to its protocol")

func protocolError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errProtocol, fmt.Sprintf(format, args...))
}

// replyKind says what came on a subscription connection.
type replyKind uint8

const (
	otherReply replyKind = iota
	messageReply
	subscribedReply
	unsubscribedReply
	pongReply
	errorReply
)

// reply is one thing that came.
type reply struct {
	kind    replyKind
	channel []byte // of a message or (un)subscription; valid until the next reply is read; nil if too long to be ours
	payload []byte // of a message, for the receiver to keep; nil if it is longer than the bound
	size    int    // of the payload
	first   byte   // of the payload
	text    string // of an error or a pong
}

type respReader struct {
	r          *bufio.Reader
	maxPayload int // bytes; longer ones are skipped
	channel    []byte
}

func newRESPReader(r io.Reader, maxPayload int) *respReader {
	return newRESPReaderSize(r, respBuffer, maxPayload)
}

func newRESPReaderSize(r io.Reader, size, maxPayload int) *respReader {
	return &respReader{r: bufio.NewReaderSize(r, size), maxPayload: maxPayload}
}

// line reads a line without its end.
func (r *respReader) line() ([]byte, error) {
	l, err := r.r.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, protocolError("a line of more than %d bytes", r.r.Size())
		}
		return nil, err
	}
	if len(l) < 3 || l[len(l)-2] != '\r' {
		return nil, protocolError("a line without type or end")
	}
	return l[:len(l)-2], nil
}

// length is the number in a line, -1 for null.
func length(line []byte, most int) (int, error) {
	n, err := strconv.Atoi(string(line[1:]))
	if err != nil || n < -1 || n > most {
		return 0, protocolError("a length of %q", truncate(line[1:]))
	}
	return n, nil
}

func truncate(b []byte) []byte { return b[:min(len(b), 32)] }

// next reads what comes next.
func (r *respReader) next() (reply, error) {
	l, err := r.line()
	if err != nil {
		return reply{}, err
	}
	switch l[0] {
	case '>', '*':
		n, err := length(l, respBulk)
		if err != nil || n < 1 {
			return reply{}, err
		}
		return r.push(n)
	case '-':
		return reply{kind: errorReply, text: string(l[1:])}, nil
	case '!', '$':
		kind := pongReply // the one reply of this form is PING's
		if l[0] == '!' {
			kind = errorReply
		}
		text, err := r.short(l)
		return reply{kind: kind, text: string(text)}, err
	case '+':
		if string(l) == "+PONG" {
			return reply{kind: pongReply}, nil
		}
		return reply{}, nil
	}
	return reply{}, r.skipRest(l, 0)
}

// push reads the n elements of a push or an array.
func (r *respReader) push(n int) (reply, error) {
	l, err := r.line()
	if err != nil {
		return reply{}, err
	}
	if l[0] != '$' && l[0] != '+' {
		return reply{}, r.skipAll(l, n-1)
	}
	word, err := r.short(l)
	if err != nil {
		return reply{}, err
	}
	kind := wordKind(word)
	switch {
	case kind == messageReply && n == 3:
		return r.message()
	case (kind == subscribedReply || kind == unsubscribedReply) && n == 3:
		channel, err := r.element()
		if err != nil {
			return reply{}, err
		}
		r.channel = append(r.channel[:0], channel...)
		return reply{kind: kind, channel: r.channel}, r.skip(0)
	case kind == pongReply && n == 2:
		text, err := r.element()
		return reply{kind: pongReply, text: string(text)}, err
	}
	return reply{}, r.skipN(n-1, 0)
}

func wordKind(word []byte) replyKind {
	switch string(word) {
	case wordMessage, "smessage":
		return messageReply
	case "subscribe", "ssubscribe":
		return subscribedReply
	case "unsubscribe", "sunsubscribe":
		return unsubscribedReply
	case "pong":
		return pongReply
	}
	return otherReply
}

func (r *respReader) message() (reply, error) {
	channel, err := r.element()
	if err != nil {
		return reply{}, err
	}
	r.channel = append(r.channel[:0], channel...)
	m := reply{kind: messageReply, channel: r.channel}
	l, err := r.line()
	if err != nil {
		return reply{}, err
	}
	if l[0] != '$' {
		return reply{}, r.skipRest(l, 0)
	}
	if m.size, err = length(l, respBulk); err != nil {
		return reply{}, err
	}
	if m.size < 0 {
		return reply{}, nil
	}
	if m.size > 0 {
		first, err := r.r.Peek(1)
		if err != nil {
			return reply{}, err
		}
		m.first = first[0]
	}
	if m.size > r.maxPayload {
		return m, r.discard(m.size)
	}
	m.payload = make([]byte, m.size)
	if _, err := io.ReadFull(r.r, m.payload); err != nil {
		return reply{}, noEOF(err)
	}
	return m, r.end()
}

// element reads a string element; nil if it is null or too long to matter.
func (r *respReader) element() ([]byte, error) {
	l, err := r.line()
	if err != nil {
		return nil, noEOF(err)
	}
	if l[0] != '$' && l[0] != '+' {
		if l[0] == '_' {
			return nil, nil
		}
		return nil, r.skipRest(l, 0)
	}
	return r.short(l)
}

// short reads a string whose first line is l: nil if it is null or longer than
// maxChannel. It is valid until the next read.
func (r *respReader) short(l []byte) ([]byte, error) {
	if l[0] == '+' {
		return l[1:], nil
	}
	n, err := length(l, respBulk)
	if err != nil || n < 0 {
		return nil, err
	}
	if n > maxChannel {
		return nil, r.discard(n)
	}
	b, err := r.r.Peek(n + 2) // fits the buffer
	if err != nil {
		return nil, noEOF(err)
	}
	if !bytes.HasSuffix(b, []byte("\r\n")) {
		return nil, protocolError("a string longer than it says")
	}
	_, err = r.r.Discard(n + 2)
	return b[:n], err
}

func (r *respReader) discard(n int) error {
	if _, err := r.r.Discard(n); err != nil {
		return noEOF(err)
	}
	return r.end()
}

func (r *respReader) end() error {
	b, err := r.r.Peek(2)
	if err != nil {
		return noEOF(err)
	}
	if b[0] != '\r' || b[1] != '\n' {
		return protocolError("a string longer than it says")
	}
	_, err = r.r.Discard(2)
	return err
}

func (r *respReader) skipAll(first []byte, rest int) error {
	if err := r.skipRest(first, 0); err != nil {
		return err
	}
	return r.skipN(rest, 0)
}

func (r *respReader) skipN(n, depth int) error {
	for range n {
		if err := r.skip(depth); err != nil {
			return err
		}
	}
	return nil
}

// skip passes over one value.
func (r *respReader) skip(depth int) error {
	l, err := r.line()
	if err != nil {
		return noEOF(err)
	}
	return r.skipRest(l, depth)
}

// skipRest passes over what follows the first line of a value.
func (r *respReader) skipRest(l []byte, depth int) error {
	if depth > respDepth {
		return protocolError("values more than %d deep", respDepth)
	}
	kind := l[0] // l is gone once something else has been read
	switch kind {
	case '+', '-', ':', '_', ',', '#', '(':
		return nil
	case '$', '!', '=':
		n, err := length(l, respBulk)
		if err != nil || n < 0 {
			return err
		}
		return r.discard(n)
	case '*', '>', '~', '%', '|':
		n, err := length(l, respBulk)
		if err != nil || n < 0 {
			return err
		}
		if kind == '%' || kind == '|' {
			n *= 2
		}
		if err := r.skipN(n, depth+1); err != nil || kind != '|' {
			return err
		}
		return r.skip(depth + 1) // an attribute stands before what it describes
	}
	return protocolError("a value of type %q", kind)
}

// noEOF: within a value the end of the connection is no good end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendCommand appends the beginning of a command of n words, the first of
// which is name.
func appendCommand(dst []byte, n int, name string) []byte {
	dst = append(dst, '*')
	dst = strconv.AppendInt(dst, int64(n), 10)
	dst = append(dst, '\r', '\n')
	return appendWord(dst, name)
}

func appendWord[T string | []byte](dst []byte, word T) []byte {
	dst = append(dst, '$')
	dst = strconv.AppendInt(dst, int64(len(word)), 10)
	dst = append(dst, '\r', '\n')
	dst = append(dst, word...)
	return append(dst, '\r', '\n')
}
