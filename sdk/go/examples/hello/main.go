// Command hello is a filter that refuses a word and numbers the messages of
// each connection. Its configuration is {"word": "..."}, up to 63 bytes.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strconv"

	sluice "sluice/sdk/go"
)

var word []byte

// onConfigure runs once for each instance, so encoding/json costs nothing that
// matters.
//
//go:wasmexport on_configure
func onConfigure(e *sluice.Event) sluice.Verdict {
	var configuration struct {
		Word string `json:"word"`
	}
	d := json.NewDecoder(bytes.NewReader(e.Payload()))
	d.DisallowUnknownFields()
	if err := d.Decode(&configuration); err != nil {
		return e.Deny(sluice.Invalid, err.Error())
	}
	switch n := len(configuration.Word); {
	case n == 0:
		return e.Deny(sluice.Invalid, "word is missing")
	case n > 63:
		return e.Deny(sluice.Invalid, "word has to be a string of up to 63 bytes")
	}
	word = []byte(configuration.Word)
	return sluice.Continue
}

// stamped is reused from event to event, so that a message allocates nothing.
var (
	stamped []byte
	state   [4]byte
)

//go:wasmexport on_message
func onMessage(e *sluice.Event) sluice.Verdict {
	content := e.Payload()
	if bytes.Contains(content, word) {
		sluice.Log(sluice.Info, "refused a message")
		return e.Deny(sluice.Invalid, "that word is not welcome here")
	}
	count := uint32(1)
	if s := e.State(); len(s) == 4 {
		count += binary.LittleEndian.Uint32(s)
	}
	binary.LittleEndian.PutUint32(state[:], count)
	e.SetState(state[:])

	stamped = append(stamped[:0], `{"n":`...)
	stamped = strconv.AppendUint(stamped, uint64(count), 10)
	stamped = append(stamped, `,"content":`...)
	stamped = append(stamped, content...)
	stamped = append(stamped, '}')
	return e.Rewrite(stamped)
}

func main() {}
