// Package listener serves a TCP listener on which most connections are WebSocket
// handshakes. A handshake takes a short path, of one goroutine and one pooled buffer, at
// whose end the handler hijacks the connection. Everything else is net/http's: the
// connection, with the bytes that were read of it in front, is accepted by an http.Server
// as if it had come from the network, and is answered, limited and logged by that alone.
//
// The path of a connection:
//
//	server.go    Serve accepts it, and starts its goroutine
//	conn.go      its request's head is read into one buffer, within the http.Server's
//	             ReadHeaderTimeout and MaxHeaderBytes
//	head.go      as soon as the head cannot become a handshake any more: handover.go
//	request.go   http.ReadRequest parses it, and it is held against what net/http's server
//	             checks beyond that. What is not a flawless handshake: handover.go
//	response.go  the handler: it hijacks the connection, or answers, and it is closed
//
// The short path refuses nothing itself: what it does not take, net/http judges anew from
// the first byte. So it need not agree with net/http on what is wrong with a request, only
// never take one that net/http would refuse.
//
// Goroutines:
//
//	Serve's         accepts
//	one per         started by Serve, or one that rests; reads the head and runs the
//	connection      handler; done with it by the handover, the handler's return,
//	                ReadHeaderTimeout or Close. Then it rests, or ends if enough of them do;
//	                all end with Shutdown or Close
//	net/http's      accept and serve what was handed over; ended by Shutdown and Close
//
// Locks: Server.mu alone. Under it connections are closed, which waits for nothing.
package listener
