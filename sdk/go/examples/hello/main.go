// Command hello is a filter that refuses a word and numbers the messages of
// each connection. Its configuration is {"word": "..."}, up to 63 bytes.
package main

import (
	"bytes"
	"encoding/binary"
	"strconv"

	sluice "sluice/sdk/go"
)

// maxContent is the longest content that is stamped, in bytes.
const maxContent = 8160

var word []byte

//go:wasmexport on_configure
func onConfigure(e *sluice.Event) sluice.Verdict {
	refuse := func(reason string) sluice.Verdict { return e.Deny(sluice.Invalid, reason) }
	word = word[:0]
	j := sluice.ReadJSON(e.Payload())
	if !j.Object() {
		return refuse("the configuration has to be an object")
	}
	for key, ok := j.Key(); ok; key, ok = j.Key() {
		if key != "word" {
			return refuse("unknown key: only word is known")
		}
		text, ok := j.Text()
		if !ok || len(text) > 63 {
			return refuse("word has to be a string of up to 63 bytes")
		}
		word = append(word[:0], text...) // the event's memory is another event's soon
	}
	if !j.Done() { // a key that cannot be read
		return refuse("unknown key: only word is known")
	}
	if len(word) == 0 {
		return refuse("word is missing")
	}
	return sluice.Continue
}

// What each message overwrites, so that it allocates nothing.
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
	if s := e.State(); len(s) == len(state) {
		count += binary.LittleEndian.Uint32(s)
	}
	binary.LittleEndian.PutUint32(state[:], count)
	e.SetState(state[:])

	if len(content) > maxContent {
		return e.Deny(sluice.TooLarge, "too long to be stamped")
	}
	stamped = append(stamped[:0], `{"n":`...)
	stamped = strconv.AppendUint(stamped, uint64(count), 10)
	stamped = append(stamped, `,"content":`...)
	stamped = append(stamped, content...)
	stamped = append(stamped, '}')
	return e.Rewrite(stamped)
}

func main() {}
