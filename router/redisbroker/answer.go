package redisbroker

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// answer is an error that Redis answered. It is a redis.Error, so that the client
// library's questions about errors understand it.
type answer string

func (a answer) Error() string { return string(a) }

// RedisError implements redis.Error.
func (answer) RedisError() {}

var _ redis.Error = answer("")

// value reads one value: a string, an int64, nil, an error that Redis answered, or
// a list of these. err is that of the connection.
func (r *respReader) value(depth int) (v any, err error) {
	if depth > respDepth {
		return nil, protocolError("values more than %d deep", respDepth)
	}
	l, err := r.line()
	if err != nil {
		return nil, err
	}
	switch l[0] {
	case '+':
		return string(l[1:]), nil
	case '-':
		return answer(l[1:]), nil
	case ':':
		n, err := strconv.ParseInt(string(l[1:]), 10, 64)
		if err != nil {
			return nil, protocolError("a number of %q", truncate(l[1:]))
		}
		return n, nil
	case '$':
		n, err := length(l, respBulk)
		if err != nil || n < 0 {
			return nil, err
		}
		return r.bulk(n)
	case '*':
		n, err := length(l, respBulk)
		if err != nil || n < 0 {
			return nil, err
		}
		list := make([]any, 0, min(n, 1024)) // whatever it says: no more than comes
		for range n {
			v, err := r.value(depth + 1)
			if err != nil {
				return nil, noEOF(err)
			}
			list = append(list, v)
		}
		return list, nil
	}
	return nil, protocolError("a value of type %q", l[0])
}

// bulk reads a string of n bytes and its end.
func (r *respReader) bulk(n int) (string, error) {
	if n+2 <= r.r.Size() {
		b, err := r.r.Peek(n + 2)
		if err != nil {
			return "", noEOF(err)
		}
		if !bytes.HasSuffix(b, []byte("\r\n")) {
			return "", protocolError("a string longer than it says")
		}
		text := string(b[:n])
		_, err = r.r.Discard(n + 2)
		return text, err
	}
	var b strings.Builder
	for b.Len() < n {
		piece, err := r.r.Peek(min(n-b.Len(), r.r.Size()))
		if err != nil {
			return "", noEOF(err)
		}
		b.Write(piece)
		if _, err := r.r.Discard(len(piece)); err != nil {
			return "", err
		}
	}
	return b.String(), r.end()
}

// accept gives a command the value that Redis answered. What the command does not
// expect is an error of Redis.
func accept(cmd redis.Cmder, v any) error {
	if a, ok := v.(answer); ok {
		cmd.SetErr(a)
		return a
	}
	ok := true
	switch c := cmd.(type) {
	case *redis.IntCmd:
		var n int64
		if n, ok = v.(int64); ok {
			c.SetVal(n)
		}
	case *redis.SliceCmd:
		var list []any
		if list, ok = v.([]any); ok {
			c.SetVal(list)
		}
	case *redis.StatusCmd:
		var text string
		if text, ok = v.(string); ok {
			c.SetVal(text)
		}
	case *redis.StringCmd:
		var text string
		if text, ok = v.(string); ok {
			c.SetVal(text)
		}
	case *redis.Cmd:
		c.SetVal(v)
		ok = v != nil
	default:
		panic(fmt.Sprintf("redisbroker: a command of type %T", cmd))
	}
	switch {
	case ok:
		return nil
	case v == nil:
		cmd.SetErr(redis.Nil)
		return redis.Nil
	}
	a := answer(fmt.Sprintf("ERR an answer of type %T was not expected", v))
	cmd.SetErr(a)
	return a
}

// appendArgs appends a command.
func appendArgs(dst []byte, args []any) []byte {
	dst = append(dst, '*')
	dst = strconv.AppendInt(dst, int64(len(args)), 10)
	dst = append(dst, '\r', '\n')
	for _, a := range args {
		switch a := a.(type) {
		case string:
			dst = appendWord(dst, a)
		case []byte:
			dst = appendWord(dst, a)
		case int:
			dst = appendInt(dst, int64(a))
		case int64:
			dst = appendInt(dst, a)
		default:
			panic(fmt.Sprintf("redisbroker: an argument of type %T", a))
		}
	}
	return dst
}

func appendInt(dst []byte, n int64) []byte {
	var digits [20]byte
	return appendWord(dst, strconv.AppendInt(digits[:0], n, 10))
}
