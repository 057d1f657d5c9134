package bench

// unavailable is the code of the one error with which a message may have been accepted all
// the same. Answers do not say which of a client's messages they are of; but one that
// anybody got was accepted, and is due to all.
const unavailable = "unavailable"

// judgeDoubts finds out, as far as is known now, which deliveries are not due for their
// messages were answered with unavailable and nobody got them.
func (r *run) judgeDoubts() {
	r.doubtful = 0
	for _, c := range r.clients {
		if c.doubts == 0 {
			continue
		}
		unheard := int64(0)
		for _, s := range r.unheard(c) {
			unheard += int64(s.to-s.from) + 1
		}
		refused := min(max(unheard-int64(c.denied), 0), int64(c.doubts))
		r.doubtful += c.doubtful * refused / int64(c.doubts)
	}
}

// unheard are the messages of a client that nobody got.
func (r *run) unheard(c *client) []span {
	all := []span{{1, c.published}}
	for i := c.index % len(r.rooms); i < len(r.clients); i += len(r.rooms) {
		if reader := r.clients[i]; c.place < len(reader.seen) {
			all = common(all, reader.seen[c.place].missing(c.published))
		}
	}
	return all
}
