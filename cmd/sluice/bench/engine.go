package bench

import (
	"errors"
	"time"
)

// engine moves the bytes of all connections. It calls a client's methods
// (connected, received, ended) only while run's goroutine is in poll, or in
// another way that excludes it; a client may call the engine from them.
type engine interface {
	// dial starts to connect. An error is one of this machine, not of the server.
	dial(c *client) error
	// poll serves connections for at most wait, and returns early once something
	// has happened.
	poll(wait time.Duration)
	// write sends, or keeps what the socket does not take now.
	write(c *client, p []byte)
	// waiting is the bytes that are kept.
	waiting(c *client) int
	// pause stops reading, and resume begins again.
	pause(c *client)
	resume(c *client)
	// close ends a connection. The client's methods are not called any more.
	close(c *client)
	// shut ends what is left, and returns when nothing of the engine runs.
	shut()
}

const (
	slowBuffer = 4 << 10   // bytes of receive buffer of a member that does not read
	readBuffer = 256 << 10 // bytes that one read may return
)

var (
	errEOF      = errors.New("the server closed the connection without a close frame")
	errTooLarge = errors.New("the server sent a message larger than 32 MiB")
)
