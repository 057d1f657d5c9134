// Package bench loads a server that speaks Sluice's protocol, and measures what
// it does: latency, loss, order, and the CPU and memory of its processes.
//
// The way of a run, which Run goes through from top to bottom:
//
//	options.go, target.go   what is asked for; where it goes to, and whether it may
//	run.go                  rooms and clients are made; the phases
//	connect.go              handshakes and joins, a bounded number at once
//	load.go                 publishes: by a schedule (open loop), or with a window (closed loop)
//	meter.go, process*.go   processes are sampled before and after each phase
//	doubt.go                what is due of messages of which the server cannot know
//	result.go, median.go    figures, as JSON has them
//	text.go, advice.go      the same for people, and what to do about what went wrong
//
// And of a message: marker.go puts who sent it, its number and the time into its content;
// client.go scans what comes for markers, wherever they stand, with frame.go and deflate.go;
// checker.go finds out what is missing, there twice or out of order, and histogram.go counts
// times. event.go understands the rest of the protocol, as far as a client needs it.
//
// Goroutines: run and its clients belong to the goroutine of Run, which locks its thread and
// reads all connections itself (engine_epoll_linux.go). With wss, and where there is no epoll,
// two goroutines of plainEngine serve each connection instead; they touch the run while they hold
// plainEngine.mu, which Run's goroutine holds at all other times. engine.shut ends them and waits.
package bench
