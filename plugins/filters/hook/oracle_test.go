//go:build !wasm

package main

import "encoding/json"

// isAnswer says by encoding/json whether an answer lets an event go on: a JSON
// object that has a result and neither error nor disconnect.
func isAnswer(text string) bool {
	if !json.Valid([]byte(text)) {
		return false
	}
	var answer map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &answer) != nil {
		return false
	}
	is := func(key string) bool {
		value, ok := answer[key]
		return ok && string(value) != "null"
	}
	var result map[string]json.RawMessage
	return is("result") && json.Unmarshal(answer["result"], &result) == nil && !is("error") && !is("disconnect")
}
