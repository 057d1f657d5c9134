// Package router holds connections, rooms and identities, and delivers
// messages. It defines what it needs from others: Filters judge events
// (package plugins), a Broker carries messages between nodes (membroker). All
// that may change while it runs is one Generation, which Swap replaces.
//
// The path of a connection:
//
//	connect.go   ServeHTTP: draining, upgrade, rate, capacity. The server is net/http's, or
//	             package listener's, which takes handshakes by a shorter path; query.go
//	address.go   the client's address behind proxies, and its origin
//	connect.go   the connect filters say who it is; the broker is subscribed to
//	             the user; the socket is accepted, and its goroutine started
//	refuse.go    or else the client is told why not
//	conn.go      greet, then read, pace and decode one frame at a time; at the
//	             end give back all that the connection held
//
// The path of an identity:
//
//	identity.go  what the connect filters gave is checked and completed; claims.go
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
//	deliver.go   Deliver: encode once. To the members of a small group it is sent
//	             here, written at once where nothing else is being written
//	feed.go      of a large one each writer of package socket has a feed: it passes
//	             on what waits there in one run, written with one system call for
//	             each of its members
//
// The operator's own programs come by server.go (messages; the filters see where they
// come from) and server_read.go. An order to the nodes is checked and published in
// control.go; on each node orders.go takes it from the broker and hands it over to be
// carried out.
//
// The path of a member:
//
//	room.go      join_room; table.go subscribes the broker to the room
//	group.go     enter: the member is told the place in the history behind which
//	             its deliveries start, and those wait for it
//	history.go   what it missed up to that place, if it asked for that; also the
//	             command history
//	arrival.go   activate: joined was sent, and what waited follows; of a member
//	             that comes from a node which is ahead, what it has not had yet
//	remove.go    or room.go: the end, by an operator or by the client
//
// Who receives what: group.go (a room, a user's connections, or everyone),
// membership.go (the rooms of one connection). The rest: options.go, generation.go and current.go (what is in
// force), stats.go, drain.go, patience.go (the
// contexts of the broker's calls).
//
// Goroutines:
//
//	connection   one per connection, started by connect; executes its commands
//	             one after the other, and renews its identity; ended by the
//	             socket's end, on which it leaves everything. Its rooms and filter
//	             states belong to who has its turn: this goroutine during a command,
//	             or the one that removes it from a room
//	broker's     calls Deliver, never twice at a time for one room or user; it may
//	             be a connection's goroutine that publishes
//	engine's     writers and timer wheel of package socket; a writer passes on what
//	             waits in its feeds; the wheel calls the function that closes an
//	             expired connection
//	orders       one for each kind of order, while there are any of it
//	drain        one per Drain, waits for the connections to end
//
// Locks: none is held while another is taken, and none while a filter, the
// broker, a socket or a callback is called. The exception is conn.turn: it is not a
// lock of data but the right to execute something for a connection, taken before
// any other and never two at a time. Deliver does not wait for it. What Deliver and
// group.settle do wait for, without a lock, are the engine's writers, which wait for nobody.
//
//	conn.turn       the commands of a connection, its end, and removals
//	shard.mu        the groups by name, and their references
//	group.mu        the members of one group, its place in the history, and its feeds
//	addrLimiter.mu  the handshakes by address
//	revocations.mu  who is revoked
//	orders.mu       the orders that have not begun
//	Router.mu       whether the node still takes connections
package router
