// Package membroker is the broker of a node that stands alone: messages never
// leave the process. It needs no goroutine of its own while nothing is behind.
//
// The path of a message:
//
//	node.go      Publish: the message's topic, found in its shard
//	accept.go    its key (keys.go) and its place in the room's history (history.go),
//	             taken under the lock that orders the topic
//	topic.go     nobody is delivering this topic: the publisher delivers it himself
//	             somebody is: it joins the topic's queue, and the publisher returns
//	gate.go      each subscribed node's gate, which Close shuts
//	             Sink.Deliver, with no lock held
//	topic.go     the publisher delivers what has queued up meanwhile, up to a
//	             share; what remains is handed to a goroutine
//
// A topic is a room, a user's direct messages, or the broadcasts. At any time at
// most one goroutine delivers a topic, which gives it its one order, and topics
// do not wait for each other. Who receives a message is settled when it is
// published: a node that subscribes later does not see it, one that leaves
// meanwhile still may.
//
// Histories live as long as their TTL, and all of them within one bound of memory.
// What has ended is removed when its room is used, or by a sweep of a part of the
// rooms, which whoever uses any history does once a second.
//
// A Hub shared by several nodes stands for a cluster in tests. There a slow sink
// of one node delays the others, which in production share nothing.
//
// Goroutines:
//
//	publisher    the caller of Publish; delivers his own message and at most
//	             publisherShare of others'
//	drainer      started by a publisher who did his share; delivers one topic
//	             until its queue is empty, then ends. Close of the hub's last node
//	             waits for it
//
// Locks, in this order: Node.mu, shard.mu, Hub.mu; keys.mu is taken under shard.mu, and
// presenceShard.mu stands alone. No two shards are locked at a time.
// Sinks are called under none of them.
package membroker
