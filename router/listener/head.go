package listener

import "bytes"

// What becomes of a head as more of it is read.
type fate uint8

const (
	unfinished fate = iota // it may become a handshake
	complete               // its last byte is the last that has come
	foreign                // it is not for the short path
)

const (
	lineStart = "GET /"
	lineEnd   = " HTTP/1.1\r"
)

// head is the beginning of a request, as it is read.
type head struct {
	buf  []byte // what has come
	seen int    // bytes of it that were looked at
	path string // of the request, once its first line has come; a key of the handshakes
}

// look says what the bytes come to that are there. It takes only what has one meaning:
// lines that end with CRLF, none of which continues the one before.
func (h *head) look(known func(path []byte) (string, bool)) fate {
	if n := min(len(h.buf), len(lineStart)); string(h.buf[:n]) != lineStart[:n] {
		return foreign
	}
	for {
		i := bytes.IndexByte(h.buf[h.seen:], '\n')
		if i < 0 {
			h.seen = len(h.buf)
			return unfinished
		}
		i += h.seen
		if i == 0 || h.buf[i-1] != '\r' {
			return foreign
		}
		if h.path == "" {
			path, ok := known(pathOf(h.buf[:i]))
			if !ok {
				return foreign
			}
			h.path = path
		}
		next := h.buf[i+1:]
		switch {
		case len(next) == 0:
			h.seen = i
			return unfinished
		case next[0] == '\r' && len(next) == 1:
			h.seen = i
			return unfinished
		case next[0] == '\r' && next[1] == '\n':
			if len(next) > 2 {
				return foreign // of a handshake nothing comes before the answer
			}
			return complete
		case next[0] <= ' ':
			return foreign
		}
		h.seen = i + 1
	}
}

// pathOf is the path in a request's first line, up to its CR; nil if the line is not
// plain.
func pathOf(line []byte) []byte {
	target, ok := bytes.CutSuffix(line, []byte(lineEnd))
	if !ok || len(target) < len(lineStart) {
		return nil
	}
	target = target[len(lineStart)-1:]
	path, _, _ := bytes.Cut(target, []byte("?"))
	return path
}
