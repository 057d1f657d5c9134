// Package sluice is the Go SDK for Sluice filters: the event that a filter
// judges, its answers, and the host's capabilities.
//
// A filter is a program whose hooks are exported functions. Which hooks it has
// is read from its exports, so it defines only those that it wants:
//
//	package main
//
//	import sluice "sluice/sdk/go"
//
//	//go:wasmexport on_message
//	func onMessage(e *sluice.Event) sluice.Verdict {
//		if len(e.Payload()) > 1000 {
//			return e.Deny(sluice.TooLarge, "content is over 1000 bytes")
//		}
//		return sluice.Continue
//	}
//
//	func main() {}
//
// The hooks are on_configure, on_connect, on_join, on_message, on_leave and
// on_disconnect, all with this signature. Build it with
//
//	GOOS=wasip1 GOARCH=wasm go build -trimpath -buildmode=c-shared -ldflags='-s -w' -o filter.wasm .
//
// # Memory
//
// What an Event's methods return are views of the host's input, strings
// included. They are valid until the hook returns; copy what is to be kept
// (strings.Clone, bytes.Clone). What is passed to an Event's methods is kept
// alive by this package until the host has read it, and must not be changed
// before the hook returns.
//
// A filter runs one event at a time, so it needs no locks. Several instances of
// it run beside each other, so a global variable is no place for what belongs to
// a connection: that is what State and SetState are for.
//
// # Tests
//
// Compiled natively, NewEvent makes events for unit tests and Answer reads what
// a hook answered. TestLog, TestNow, TestRandom, TestVerify and TestKept stand in
// for the host.
package sluice
