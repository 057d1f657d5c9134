// Package socket is one WebSocket connection, as cheap as it can be held: plain
// handshakes are answered by us, and coder/websocket decides on all others; frames
// are read by us, into a buffer that an idle connection does not have; frames that
// were encoded once are written by us, all that is queued for a connection in one
// write, by a few writers that never wait for a socket. It is a leaf: it knows
// neither the protocol nor rooms.
//
// The path of a handshake: Accept (accept.go) answers a plain one (upgrade.go); of
// any other it has the library verify the request and choose subprotocol and
// compression. The response becomes the socket's first frame, and leaves with the
// one behind it.
//
// The path of what comes in: Socket.Read (read.go) → what has come and is not
// read (input.go), or else receive (netconn.go): it waits without a buffer, and
// takes all that there is into a pooled one → next (protocol.go): headers, an
// announced size, violations, control frames, floods of frames that are no
// message → unmasked where it was read or, if it is long or in fragments,
// collected (input.go) → decompressed (deflate_read.go), UTF-8 → the caller, until the
// next Read.
//
// The path of what goes out: Send (send.go) appends the shared frame to the
// socket's queue (queue.go) and puts the socket on its writer's list; the
// writer (writer.go) takes all that is queued, up to 64 KiB, and writes it with
// one system call that does not wait. What a full socket did not take stays
// queued, and a goroutine that lives only as long as the socket is blocked
// (drain.go) waits for it. Pings, pongs and the close frame go the same way:
// nothing else writes to the connection, so no frame is ever torn by another.
//
// There is a short cut past the queue of a socket that has nothing queued (run.go):
// SendNow writes one frame on the caller's goroutine while the writer sleeps, and a Run
// writes many frames, put together once for all of its sockets. Neither waits; what the
// socket does not take goes the ordinary way. Who has a message for many sockets has each
// writer do a part of the work as a Task, so that the sockets of one writer are written by it.
//
// Goroutines:
//
//	reader   one per socket, the caller's; owns Read and Release, and with them
//	         the socket's input; ends when Read has failed
//	writer   GOMAXPROCS per Engine, started by NewEngine; owns its scratch
//	         buffer, and the right to write of the sockets on its list; does the
//	         tasks on it; ended by Close, with nothing left on its list
//	wheel    one per Engine (wheel.go): heartbeats and AfterFunc; ended by Close
//	drain    one per blocked socket, started by the writer; owns the right to
//	         write until nothing is queued or the socket has failed
//
// The reader's stack is the most of what an idle connection costs. What Read
// calls to wait has small frames; what is deep, parsing and decompressing, has
// returned by then.
//
// The right to write is Socket.busy: who finds it unset and sets it must pass
// it on to a writer, or write himself: then, if something is left in the end, he passes
// it on to the writer or, if the socket is full, to drain. The handshake's response is
// there before anyone has it, in Socket.partial: whoever writes first, writes it first.
//
// Locks, outer before inner: Socket.mu, then writer.mu or wheel.mu. Under
// sharedSettings.mu nothing else is taken. No system call and no callback is made
// under any of them.
package socket
