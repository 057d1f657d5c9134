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
//
// Commands are decoded by Decoder without copying the content and without
// allocating; events are appended to a caller's buffer by the Append functions.
package wire
