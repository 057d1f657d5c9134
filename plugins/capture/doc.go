// Package capture records what the filters of a node were asked and what they
// answered, and replays it against other modules.
//
// # Path of a record
//
//	Capture.Wants   recorder.go  is the capture under way, and the connection in its sample?
//	Capture.Judged  recorder.go  into the queue, or counted as dropped
//	Capture.run     recorder.go  out of the queue; ends the capture by time, size, error or Close
//	redactor.event  redact.go    takes out what must not be kept
//	file.line       file.go      a line of JSON, gzipped, within the size
//
// and back:
//
//	Reader.Next     read.go      the next event; a file that ends in the middle is read up to there
//	Replay          replay.go    each question against two modules
//	player          player.go    answers guests as the node did
//	fields          compare.go   what differs
//	Report          report.go    what is said of it
//
// format.go is the form of a line; docs/rollout.md tells of it.
//
// # Goroutines and locks
//
// Capture.run is the only goroutine: Start starts it, and it ends with the
// capture; Close waits for it. The path of events takes no lock: it sends to a
// channel if there is room. Replay runs in its caller; player.mu is taken last.
package capture
