// Package socket is one WebSocket connection on coder/websocket, as cheap as
// it can be held: the library does the handshake, reading and control frames;
// frames that were encoded once are written by us, all that is queued for a
// connection in one write, by a few writers that never wait for a socket. It
// is a leaf: it knows neither the protocol nor rooms.
//
// The path of what comes in: the connection (libConn.Read in netconn.go, which
// notes that something came) → the frames' headers (walk.go): an announced size,
// floods of frames that are no message, messages that do not end → the library's
// frames → Socket.Read (read.go): size, UTF-8, a pooled buffer that lives until
// the next Read.
//
// The path of what goes out: Send (send.go) appends the shared frame to the
// socket's queue (queue.go) and puts the socket on its writer's list; the
// writer (writer.go) takes all that is queued, up to 64 KiB, and writes it with
// one system call that does not wait. What a full socket did not take stays
// queued, and a goroutine that lives only as long as the socket is blocked
// (drain.go) waits for it. Control frames of the library, pings, pongs and the
// close frame go the same way: nothing else writes to the connection, so no
// frame is ever torn by another.
//
// Goroutines:
//
//	reader   one per socket, the caller's; owns Read and Release, and with them
//	         the library's connection; ends when Read has failed
//	writer   GOMAXPROCS per Engine, started by NewEngine; owns its scratch
//	         buffer, and the right to write of the sockets on its list; ended by Close
//	wheel    one per Engine (wheel.go): heartbeats and AfterFunc; ended by Close
//	drain    one per blocked socket, started by the writer; owns the right to
//	         write until nothing is queued or the socket has failed
//
// The right to write is Socket.busy: who finds it unset and sets it must pass
// it on to a writer.
//
// Locks, outer before inner: Socket.mu, then writer.mu or wheel.mu. No system
// call and no callback is made under any of them.
package socket
