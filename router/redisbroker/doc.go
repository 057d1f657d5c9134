// Package redisbroker connects nodes through Redis 7 or newer: one Redis, a group
// under Sentinel, a Cluster, or several of these as shards. It is what
// router.Broker asks for where a node is not alone.
//
// A message goes this way:
//
//	broker.go         Publish: checked; its room or user has a shard
//	shard.go          which shard: rendezvous hashing over their names
//	history.go        PUBLISH alone, or the script that numbers, keeps and publishes at once
//	envelope.go       the message as bytes
//	keys.go           its channel and keys; in a Cluster all of one room in one slot
//	batcher.go        the lane (publishes, reads), and the queue of the slot's master
//	queue.go          what waits leaves together, in order; a lone caller sends by himself
//	round.go          one pipeline, and its answers
//	link.go           the queue's connection
//	answer.go         what Redis answers to commands
//	outcome.go        how a call ends
//	connection.go     on every node: one subscription connection per Redis
//	subscriptions.go  the channel's topic
//	relay.go          what comes alone is delivered by who reads; if that lasts, another one reads on
//	worker.go         else, or behind other messages, the topic's worker decodes
//	sequence.go       by offset: duplicates dropped, holes filled from the history or told
//	                  Sink.Deliver, with no lock held
//
// Beside it:
//
//	changes.go        what a subscription connection sends, in batches
//	away.go           from a failure until Redis answers again
//	redirect.go       what a Cluster sends elsewhere
//	topology.go       clients for each mode; who has which slot
//	rawconn.go        reads and writes without telling the scheduler
//	resp.go           what comes on a subscription connection
//	check.go          what Start asks of a Redis
//	errors.go         what a failure says of the message: not sent, in doubt, refused
//	probe.go          messages to oneself through each connection
//	catchup.go        what was missed while a connection was away
//	presence.go       who is in a room; nodes.go which nodes live; rooms.go which rooms there are
//	counters.go       what happened, by name
//
// # What a failure means
//
// No command is sent twice: an answer that does not come leaves a publish in
// doubt, and the error says so. Everything else that failed has had no effect.
// A Redis that fails once is taken to be away: publishes fail at once, until a probe with a jittered,
// growing wait succeeds. A PUBLISH, which a replica would execute, is preceded in
// its pipeline by a write without an effect (the fence), which it refuses.
//
// # Goroutines
//
//	flusher       started by the first command that waits; sends a queue until it is empty
//	finisher      started by a caller whose deadline is over; awaits the answer to what he has sent
//	prober        started when a master is found away; ends when it is back, or is no master any more
//	redirection   started by a flusher for what a Cluster sends elsewhere; ends when it is answered
//	discovery     started by Start if no node of a Cluster answers; ends when one has
//	subscriber    one per Redis; connects, reads, and delivers what comes alone, until its connection ends
//	  reader      goes on where a delivery keeps the one before, who ends with that delivery
//	  writer      one per connection; sends subscriptions and probes
//	  watcher     one per connection; sees that probes come back
//	workers       deliver; a topic always has the same one, or for a message the reader in its place
//	time keeper   one per shard; delayed unsubscribes and retries
//	owners        one per Cluster; moves topics to the masters that have their slots
//	fetches       read histories for workers, at most some at a time
//	presence      writes what changed, and refreshes
//
// Close ends them all and returns after the last.
//
// # Locks
//
// In this order: Broker.mu, shard.reloading, batcher.mu, queue.mu. subscriptions.mu
// comes before connection.mu. relay.mu and worker.mu are held alone. Those of presence
// are in presence.go. Redis, the network and the sink are called under none but
// Broker.mu, which Start holds, and shard.reloading, which lets one at a time ask a
// Cluster for its slots.
package redisbroker
