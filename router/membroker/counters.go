package membroker

// Counters tells how often what has happened since the hub was made. Every key
// is present from the start.
func (n *Node) Counters() map[string]uint64 {
	h := n.hub
	return map[string]uint64{
		"history_forgotten": h.keeping.forgotten.Load(), // rooms whose history was given up for lack of memory
		"history_trimmed":   h.keeping.trimmed.Load(),   // messages given up before their time because one room took too much
		"history_ended":     h.keeping.ended.Load(),     // rooms whose history reached its TTL
		"key_repeated":      h.keys.repeated.Load(),     // messages published again with their key, and not delivered again
		"key_forgotten":     h.keys.forgotten.Load(),    // keys given up before their time for lack of memory
	}
}
