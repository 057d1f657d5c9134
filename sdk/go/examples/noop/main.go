// Command noop is a filter that continues with every message. It shows what a
// call costs.
package main

import sluice "sluice/sdk/go"

//go:wasmexport on_message
func onMessage(*sluice.Event) sluice.Verdict { return sluice.Continue }

func main() {}
