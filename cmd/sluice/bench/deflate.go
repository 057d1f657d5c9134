package bench

import (
	"bytes"
	"compress/flate"
	"io"
	"strings"
)

const (
	deflateOffer = "permessage-deflate; client_max_window_bits" // as browsers offer it
	windowSize   = 32 << 10
)

// deflateTerms are what a server answered to the offer.
type deflateTerms struct {
	on            bool
	takeover      bool // a message may refer to those before it
	clientMaxBits int
}

func parseDeflateTerms(header string) (t deflateTerms) {
	name, params, _ := strings.Cut(header, ";")
	if strings.TrimSpace(name) != "permessage-deflate" {
		return t
	}
	t = deflateTerms{on: true, takeover: true, clientMaxBits: 15}
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		switch name {
		case "server_no_context_takeover":
			t.takeover = false
		case "client_max_window_bits":
			bits := 0
			for _, d := range strings.Trim(value, `" `) {
				bits = bits*10 + int(d-'0')
			}
			if bits >= 8 && bits < 15 {
				t.clientMaxBits = bits
			}
		}
	}
	return t
}

// codec compresses and inflates for all connections of a run.
type codec struct {
	packer *flate.Writer
	packed bytes.Buffer

	reader io.ReadCloser
	source bytes.Reader
	joined []byte // compressed payload and its tail
	plain  []byte

	// What a server compressed once for a room arrives as the same bytes on each
	// connection. The last one is remembered, so that this client, which shares
	// the machine, does not inflate it a thousand times.
	lastPacked []byte
	hasLast    bool
}

// tail is what a message leaves out at its end (RFC 7692, section 7.2.1), and a
// final empty block behind it, so that the reader sees an end.
var deflateTail = []byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff}

// inflate returns the message; it is valid until the next call. window is what
// the connection's messages before it ended with.
func (k *codec) inflate(packed, window []byte) ([]byte, error) {
	if len(window) == 0 && k.hasLast && bytes.Equal(packed, k.lastPacked) {
		return k.plain, nil
	}
	k.hasLast = false
	k.joined = append(append(k.joined[:0], packed...), deflateTail...)
	k.source.Reset(k.joined)
	if k.reader == nil {
		k.reader = flate.NewReaderDict(&k.source, window)
	} else if err := k.reader.(flate.Resetter).Reset(&k.source, window); err != nil {
		return nil, err
	}
	k.plain = k.plain[:0]
	for {
		if len(k.plain) == cap(k.plain) {
			k.plain = append(k.plain, 0)[:len(k.plain)]
		}
		n, err := k.reader.Read(k.plain[len(k.plain):cap(k.plain)])
		k.plain = k.plain[:len(k.plain)+n]
		if len(k.plain) > maxFrame {
			return nil, errTooLarge
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if len(window) == 0 {
		k.lastPacked, k.hasLast = append(k.lastPacked[:0], packed...), true
	}
	return k.plain, nil
}

// deflate compresses a message by itself; it is valid until the next call.
func (k *codec) deflate(plain []byte) []byte {
	k.packed.Reset()
	if k.packer == nil {
		k.packer, _ = flate.NewWriter(&k.packed, flate.BestSpeed) // the level is a valid one
	} else {
		k.packer.Reset(&k.packed)
	}
	// A buffer takes everything.
	_, _ = k.packer.Write(plain)
	_ = k.packer.Flush()
	return bytes.TrimSuffix(k.packed.Bytes(), deflateTail[:4])
}

// slide is the window after a message.
func slide(window, message []byte) []byte {
	if len(message) >= windowSize {
		return append(window[:0], message[len(message)-windowSize:]...)
	}
	if over := len(window) + len(message) - windowSize; over > 0 {
		window = window[:copy(window, window[over:])]
	}
	return append(window, message...)
}
