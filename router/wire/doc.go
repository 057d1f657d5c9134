// Package wire is the client protocol: what a client may send, what it
// receives, and the numbers and words both sides agree on. It is a leaf: it
// knows neither sockets nor rooms. docs/protocol.md is the normative text.
//
// # Limits
//
//	frame               64 KiB by default; the socket enforces it
//	room and user name  255 bytes, UTF-8, no control characters, not empty
//	id                  64 bytes as a string, or a number
//	key                 128 bytes
//	cursor, epoch       1024 bytes, 64 bytes
//	limit               1000
//	JSON depth          64
//
// # Flow
//
//	client                         node
//	GET /ws, upgrade       ->
//	                       <-      welcome
//	join_room              ->
//	                       <-      joined, then the room's deliveries
//	room_message, chat,    ->
//	direct_message         <-      ack (where an id was sent), chat
//	ping                   <->     pong
//	leave_room             ->
//	                       <-      left
//	refresh                ->
//	                       <-      refreshed, and left for what is not granted any more
//
// # The path of a frame
//
//	in    Decoder.Decode (decode.go) has scanObject (fields.go) step over the
//	      whole frame once, where json.go holds every byte against RFC 8259 and
//	      UTF-8; then reads the fields that the command has (text.go, id.go,
//	      names.go) into a Command of slices of the frame
//	out   an Append function (encode.go) adds one event to a caller's buffer
//
// Neither allocates. The content of a message is never parsed into values nor
// written anew: what a client sent is what others receive, byte for byte.
//
// The package starts no goroutine and holds no lock. A Decoder belongs to one
// goroutine at a time; everything else is a function of its arguments.
package wire
