package plugins

import (
	"time"

	"sluice/plugins/keys"
	"sluice/router"
)

// Info describes a filter of a chain.
type Info struct {
	Name    string
	File    string   // its path, or builtin:<name>
	Version string   // the first 12 digits of the SHA-256 of its module
	Hooks   []string // connect, join, message, leave, disconnect: those that it has
	Rooms   []string // patterns; empty: no restriction
	Schema  []byte   // JSON schema of its configuration, from the module's custom section sluice.schema; or nil
}

// Stats is what a filter has done since it was loaded. Filters that a reload
// leaves unchanged go on counting.
type Stats struct {
	Info

	Calls    uint64            // answered by the guest, or failed in it
	Verdicts map[string]uint64 // by verdict: continue, allow, deny, drop, disconnect
	Failures map[string]uint64 // by cause, all of them (see Causes)

	Instances int           // open now
	Created   uint64        // since it was loaded
	Memory    uint64        // bytes of linear memory, over all instances
	Average   time.Duration // of a call; one in 64 is timed
	Keys      *keys.Status  // what it verifies with, and with what result; nil: it has no keys
	LogLost   uint64        // lines of its own that were not logged, because there were too many at one time
}

var verdictWords = [...]string{
	router.Continue: "continue", router.Allow: "allow", router.Deny: "deny", router.Drop: "drop", router.Disconnect: "disconnect",
}

// Info describes the chain's filters in order.
func (c *Chain) Info() []Info {
	out := make([]Info, len(c.filters))
	for i := range c.filters {
		f := &c.filters[i]
		m := f.pool.module
		out[i] = Info{Name: f.Name, File: f.file(), Version: m.version(), Hooks: m.hooks.words(), Rooms: f.Spec.Rooms, Schema: m.schema}
	}
	return out
}

// Stats counts what the chain's filters have done, in order. It waits for each
// lane in turn, so it may take as long as the calls that are under way.
func (c *Chain) Stats() []Stats {
	out := make([]Stats, len(c.filters))
	timed := make([]int, len(c.filters))
	failures := make([][numCauses]uint64, len(c.filters))
	verdicts := make([][len(verdictWords)]uint64, len(c.filters))
	for i, info := range c.Info() {
		out[i].Info = info
	}
	c.host.lanes.visit(func(lane int) {
		for i := range c.filters {
			s := &c.filters[i].pool.slots[lane]
			out[i].Calls += s.calls
			for a, n := range s.verdicts {
				verdicts[i][a] += n
			}
			for cause, n := range s.failures {
				failures[i][cause] += n
			}
			if s.timed > 0 {
				timed[i]++
				out[i].Average += s.mean
			}
			if s.in != nil {
				out[i].Instances++
				out[i].Memory += uint64(s.in.mem.Size())
			}
		}
	})
	for i := range out {
		p := c.filters[i].pool
		failures[i][CauseOverloaded] += p.overloaded.Load()
		if p.keys != nil {
			status := p.keys.Status()
			out[i].Keys = &status
		}
		out[i].Created, out[i].LogLost = p.created.Load(), p.logLost.Load()
		if timed[i] > 0 {
			out[i].Average /= time.Duration(timed[i])
		}
		out[i].Verdicts = make(map[string]uint64, len(verdictWords))
		for a, word := range verdictWords {
			out[i].Verdicts[word] = verdicts[i][a]
		}
		out[i].Failures = make(map[string]uint64, numCauses)
		for cause := CauseTimeout; cause < numCauses; cause++ {
			out[i].Failures[cause.String()] = failures[i][cause]
		}
	}
	return out
}

// HostStats is how much a host holds.
type HostStats struct {
	Filters int    // distinct filters, over all chains that are not retired
	Modules int    // compiled plugins
	LogLost uint64 // reports that were not logged, because there were too many at one time
}

// Stats counts what the host holds.
func (h *Host) Stats() HostStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return HostStats{Filters: len(h.pools), Modules: len(h.modules), LogLost: h.reports.lost.Load()}
}
