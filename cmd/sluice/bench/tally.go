package bench

// tally counts what went wrong, by cause.
type tally struct {
	refused causes // connects, joins and publishes, by the code of the error
	closed  causes // connections that were members, by close code
	slow    causes // the same of members that do not read
	gaps    causes // gap events, by reason
}

// causes counts by cause, and keeps one reason of each.
type causes struct {
	counts  map[string]int64
	reasons map[string]string
}

// maxCauses bounds what a server can have this client remember.
const maxCauses = 64

func (c *causes) add(cause, reason string) {
	if c.counts == nil {
		c.counts, c.reasons = make(map[string]int64), make(map[string]string)
	}
	cause = clip(cause)
	if _, known := c.counts[cause]; !known {
		if len(c.counts) >= maxCauses {
			cause = "other"
		}
		c.reasons[cause] = clip(reason)
	}
	c.counts[cause]++
}

func (c *causes) total() (n int64) {
	for _, k := range c.counts {
		n += k
	}
	return n
}
