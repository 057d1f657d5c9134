package capture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// pointer is a JSON pointer (RFC 6901), of which the part * matches any key or
// element.
type pointer []string

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

func parsePointer(text string) (pointer, error) {
	if !strings.HasPrefix(text, "/") {
		return nil, fmt.Errorf("%q is not a JSON pointer: it begins with /", text)
	}
	var p pointer
	for part := range strings.SplitSeq(text[1:], "/") {
		if strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(part), "~") {
			return nil, fmt.Errorf("%q is not a JSON pointer: write ~ as ~0 and / as ~1", text)
		}
		p = append(p, unescape.Replace(part))
	}
	return p, nil
}

// step are the pointers that go on below a key or element, without their first
// part, and whether one of them ends there.
func step(pointers []pointer, key string) (below []pointer, ends bool) {
	for _, p := range pointers {
		if p[0] != key && p[0] != "*" {
			continue
		}
		if len(p) == 1 {
			return nil, true
		}
		below = append(below, p[1:])
	}
	return below, false
}

// cutter takes values out of a JSON text, whose other bytes stay as they are.
type cutter struct {
	text    []byte
	decoder *json.Decoder
	out     []byte
	from    int // of what is not yet in out
	taken   func(value json.RawMessage)
}

// cut replaces the values that the pointers name by a string. Text that is not
// JSON is returned as it is. found says whether anything was taken.
func cut(text []byte, pointers []pointer, taken func(json.RawMessage)) (out []byte, found bool) {
	if len(pointers) == 0 || len(text) == 0 || !json.Valid(text) {
		return text, false
	}
	c := &cutter{text: text, decoder: json.NewDecoder(bytes.NewReader(text)), taken: taken}
	c.decoder.UseNumber()
	if err := c.walk(pointers); err != nil || c.out == nil {
		return text, false
	}
	return append(c.out, text[c.from:]...), true
}

func (c *cutter) walk(pointers []pointer) error {
	if len(pointers) == 0 {
		var skipped json.RawMessage
		return c.decoder.Decode(&skipped)
	}
	token, err := c.decoder.Token()
	if err != nil {
		return err
	}
	delim, nested := token.(json.Delim)
	if !nested {
		return nil
	}
	for i := 0; c.decoder.More(); i++ {
		key := fmt.Sprint(i)
		if delim == '{' {
			name, err := c.decoder.Token()
			if err != nil {
				return err
			}
			key, _ = name.(string)
		}
		below, ends := step(pointers, key)
		if !ends {
			if err := c.walk(below); err != nil {
				return err
			}
			continue
		}
		var value json.RawMessage
		if err := c.decoder.Decode(&value); err != nil {
			return err
		}
		end := int(c.decoder.InputOffset())
		c.out = append(c.out, c.text[c.from:end-len(value)]...)
		c.out = append(c.out, removedJSON...)
		c.from = end
		c.taken(value)
	}
	_, err = c.decoder.Token()
	return err
}
