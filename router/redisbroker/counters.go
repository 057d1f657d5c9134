package redisbroker

import "sync/atomic"

// event is something that happened and that an operator may want to know of.
// Each is counted; none is a reason to log on the path of a message.
type event uint8

// The events. The names under which Counters shows them are in eventNames.
const (
	malformedChannel event = iota
	malformedHeader
	malformedVersion
	malformedEnvelope
	malformedTopic
	malformedContent
	malformedEntry

	publishQueueFull
	publishUnavailable
	publishUnknown
	publishRefused
	readQueueFull
	readUnavailable
	readRefused
	fenced
	tripped
	returned
	scriptLoaded

	workerOverflow
	duplicateDropped
	holeFilled
	gapLost
	gapPossible
	epochChanged
	connectionLost
	connectionRestored
	probeReturned
	probeMicroseconds
	probeFailed
	connectionReplaced

	keyRepeated
	epochNew
	epochLost
	epochStamp
	epochForeign

	presenceFailed
	presenceRewritten
	malformedPresence
	malformedNode
	nodeFailed
	duplicateNode

	events // their number
)

// eventNames are part of the product's surface: alerts are written against them.
var eventNames = [events]string{
	malformedChannel:  "malformed_channel",  // a message on a channel that is none of ours was skipped
	malformedHeader:   "malformed_header",   // a message whose position cannot be read was skipped
	malformedVersion:  "malformed_version",  // a message of a later major version was skipped
	malformedEnvelope: "malformed_envelope", // a message that cannot be decoded was skipped
	malformedTopic:    "malformed_topic",    // a message that does not belong on its channel was skipped
	malformedContent:  "malformed_content",  // a message whose content or info is not JSON was skipped
	malformedEntry:    "malformed_entry",    // an entry of a history's stream that no node wrote was skipped

	publishQueueFull:   "publish_queue_full",  // a publish failed at once: too many wait already
	publishUnavailable: "publish_unavailable", // a publish failed without having been sent
	publishUnknown:     "publish_unknown",     // a publish was sent and not answered: it may have been accepted
	publishRefused:     "publish_refused",     // Redis answered a publish with an error
	readQueueFull:      "read_queue_full",     // as publish_queue_full, of reads of history and presence
	readUnavailable:    "read_unavailable",    // a read that failed for want of Redis
	readRefused:        "read_refused",        // Redis answered a read with an error
	fenced:             "fenced",              // publishes that reached a replica, or a master that does not take writes, were refused
	tripped:            "redis_away",          // a Redis was found to be away
	returned:           "redis_back",          // and came back
	scriptLoaded:       "script_loaded",       // a script had to be sent again

	workerOverflow:     "worker_overflow",     // a message did not fit into a worker's queue; its room is caught up or told
	duplicateDropped:   "duplicate_dropped",   // a message that came a second time was dropped
	holeFilled:         "hole_filled",         // messages that had not come were read from the history
	gapLost:            "gap_lost",            // members of a room with history were told that messages are lost
	gapPossible:        "gap_possible",        // members of a room, or a user, were told that messages may be lost
	epochChanged:       "epoch_changed",       // a room's history began anew
	connectionLost:     "connection_lost",     // a subscription connection ended
	connectionRestored: "connection_restored", // and was replaced, its topics subscribed again
	probeReturned:      "probe_returned",      // a probe came back
	probeMicroseconds:  "probe_microseconds",  // that probes took to come back, together
	probeFailed:        "probe_failed",        // a probe did not come back in time
	connectionReplaced: "connection_replaced", // a connection that lived and delivered nothing was closed

	keyRepeated:  "key_repeated",  // a message was published again with its key, and not delivered again
	epochNew:     "epoch_new",     // a room's history began: there was none, or Redis was emptied
	epochLost:    "epoch_lost",    // a room's history began anew: its stream was gone before its time
	epochStamp:   "epoch_stamp",   // a new epoch: another Redis, or one restarted, has the room now
	epochForeign: "epoch_foreign", // a room's history began anew: somebody else had written to its keys

	presenceFailed:    "presence_failed",    // a room's presence could not be written; it will be when Redis is back, or with the next refresh
	presenceRewritten: "presence_rewritten", // a user's presence was written again, for Redis had lost it
	malformedPresence: "malformed_presence", // an entry of a room's presence that no node wrote was skipped, or the whole removed
	malformedNode:     "malformed_node",     // an entry of the list of nodes that no node wrote was skipped
	nodeFailed:        "node_failed",        // this node's own entry in the list of nodes could not be written
	duplicateNode:     "duplicate_node",     // another running node was seen to have this node's id
}

type counters [events]atomic.Uint64

func (c *counters) add(e event, n int) {
	if n > 0 {
		c[e].Add(uint64(n))
	}
}

// count counts an event.
func (b *Broker) count(e event) { b.counters.add(e, 1) }

// Counters tells how often what has happened since New. Every key is present
// from the start.
func (b *Broker) Counters() map[string]uint64 {
	all := make(map[string]uint64, events)
	for e, name := range eventNames {
		all[name] = b.counters[e].Load()
	}
	return all
}
