// Package router holds connections, rooms and identities, and delivers
// messages. It defines what it needs from others: Filters judge events
// (package plugins), a Broker carries messages between nodes (membroker). All
// that may change while it runs is one Generation, which Swap replaces.
//
// The path of a connection:
//
//	connect.go   ServeHTTP: draining, upgrade, rate, capacity
//	address.go   the client's address behind proxies, and its origin
//	connect.go   the connect filters say who it is; the broker is subscribed to
//	             the user; the socket is accepted, and its goroutine started
//	refuse.go    or else the client is told why not
//	conn.go      greet, then read, pace and decode one frame at a time; at the
//	             end give back all that the connection held
//
// The path of an identity:
//
//	identity.go  what the connect filters gave is checked and completed
//	conn.go      each command looks whether it has expired, and is executed
//	             under the identity that is in force as it begins
//	grants.go    what it may do, asked for each command; pattern.go
//	refresh.go   the connect filters judge a new token; the new identity takes
//	             the old one's place, and rooms without a grant are left; expiry
//	revoke.go    cuts users, tokens and tags off, and keeps them out for a time
//
// The path of a message:
//
//	commands.go  the generation is loaded once: address and grants
//	judge.go     the message filters, and what follows from their verdict;
//	             ErrRetired: the next generation judges the command anew
//	             Broker.Publish; the broker hands it back, on every node
//	deliver.go   Deliver: encode once, queue for each member without blocking
//
// Who receives what: group.go (a room, a user's connections, or everyone),
// membership.go (the rooms of one connection), room.go (join, leave,
// announcements). The rest: options.go, generation.go and current.go (what is in
// force), stats.go, drain.go.
//
// Goroutines:
//
//	connection   one per connection, started by connect; executes its commands
//	             one after the other and alone owns its rooms and filter states,
//	             and renews its identity; ended by the socket's end, on which it
//	             leaves everything
//	broker's     calls Deliver, never twice at a time for one room or user; it may
//	             be a connection's goroutine that publishes
//	engine's     writers and timer wheel of package socket; the wheel calls the
//	             function that closes an expired connection
//	drain        one per Drain, waits for the connections to end
//
// Locks: none is held while another is taken, and none while a filter, the
// broker, a socket or a callback is called.
//
//	shard.mu        the groups by name, and their references
//	group.mu        the members of one group
//	addrLimiter.mu  the handshakes by address
//	revocations.mu  who is revoked
//	Router.mu       whether the node still takes connections
package router
