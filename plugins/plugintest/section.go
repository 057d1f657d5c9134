package plugintest

import "errors"

const (
	wasmMagic = "\x00asm"
	maxModule = 16 << 20
)

var errTruncated = errors.New("the module ends in the middle of a section")

// Custom finds a custom section of a module; nil if it has none.
func Custom(wasm []byte, name string) ([]byte, error) {
	if len(wasm) < 8 || string(wasm[:4]) != wasmMagic {
		return nil, errors.New("it is not a WebAssembly module")
	}
	for rest := wasm[8:]; len(rest) > 0; {
		id := rest[0]
		size, n := uleb(rest[1:])
		if n == 0 || uint64(len(rest)-1-n) < size {
			return nil, errTruncated
		}
		body := rest[1+n : 1+n+int(size)]
		rest = rest[1+n+int(size):]
		if id != 0 {
			continue
		}
		length, n := uleb(body)
		if n == 0 || uint64(len(body)-n) < length {
			return nil, errTruncated
		}
		if string(body[n:n+int(length)]) == name {
			return body[n+int(length):], nil
		}
	}
	return nil, nil
}

// uleb reads an unsigned number of up to 32 bits; n is 0 if there is none.
func uleb(b []byte) (v uint64, n int) {
	for i := 0; i < len(b) && i < 5; i++ {
		v |= uint64(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}
