package plugins

import (
	"encoding/hex"
	"time"

	"sluice/plugins/keys"
	"sluice/plugins/lookup"
	"sluice/plugins/store"
	"sluice/router"
)

// Info describes a filter of a chain.
type Info struct {
	Name    string
	File    string    // its path or where it is fetched from, or builtin:<name>
	Version string    // the first 12 digits of Digest
	Digest  string    // SHA-256 of its module, in hex
	Hooks   []string  // connect, join, message, leave, disconnect: those that it has
	Rooms   []string  // patterns; empty: no restriction
	Role    string    // RoleActive, RoleCanary or RoleShadow
	Share   float64   // of a candidate: the part of the connections, or events, between 0 and 1; else 1
	Loaded  time.Time // when it was loaded: a reload that leaves it as it is does not count
	Schema  []byte    // JSON schema of its configuration, from the module's custom section sluice.schema; or nil

	From     string // how its module was had: builtin, file, fetched, cached, or last_good: its source was away
	SignedBy string // ID of the trusted key that signed it; or ""
}

// Stats is what a filter has done since it was loaded. Filters that a reload
// leaves unchanged go on counting.
type Stats struct {
	Info

	Calls    uint64            // answered by the guest, or failed in it
	Verdicts map[string]uint64 // by verdict: continue, allow, deny, drop, disconnect
	Failures map[string]uint64 // by cause, all of them (see Causes)

	InFlight  int           // calls under way for longer than a slice of fuel (about 50 µs), and questions of its lookup on their way
	Instances int           // open now
	Created   uint64        // since it was loaded
	Memory    uint64        // bytes of linear memory, over all instances
	Average   time.Duration // of a call, the latest weighing most; one in 64 is timed, of a shadow each
	Timed     uint64        // calls that were timed
	TimedTime time.Duration // that these took, all together
	Keys      *keys.Status  // what it verifies with, and with what result; nil: it has no keys
	LogLost   uint64        // lines of its own that were not logged, because there were too many at one time

	Lookup *lookup.Stats // nil: it has no lookup

	Candidate *Stats       // what is tried out beside it; nil: nothing is
	Shadow    *ShadowStats // of a candidate that is asked with no effect; else nil

	Store  store.Stats      // what it keeps on the node, and what had no room
	Series map[string]int64 // sums of metric_add, by name
}

var verdictWords = [...]string{
	router.Continue: "continue", router.Allow: "allow", router.Deny: "deny", router.Drop: "drop", router.Disconnect: "disconnect",
}

// Info describes the chain's filters in order, without their candidates.
func (c *Chain) Info() []Info {
	out := make([]Info, len(c.filters))
	for i := range c.filters {
		out[i] = c.filters[i].info(RoleActive, 1)
	}
	return out
}

// Candidates describes what is tried out beside the chain's filters, in order.
func (c *Chain) Candidates() []Info {
	var out []Info
	for i := range c.filters {
		if v := c.filters[i].candidate(); v != nil {
			out = append(out, v.info(c.filters[i].role()))
		}
	}
	return out
}

func (f *filter) info(role string, share float64) Info {
	m := f.pool.module
	return Info{
		Name: f.Name, File: f.file(), Version: m.version(), Digest: hex.EncodeToString(m.key.digest[:]), Loaded: f.pool.loaded,
		Hooks: m.hooks.words(), Rooms: f.Spec.Rooms, Role: role, Share: share, Schema: m.schema, From: f.origin.from, SignedBy: f.origin.signedBy,
	}
}

// Unproved is a module of a new chain that carries fixtures.
type Unproved struct {
	Filter string
	File   string
	Digest string // SHA-256, in hex
	Memory int64  // bytes that an instance may have
	Wasm   []byte
}

// TakeUnproved returns the modules of a chain that is not in force yet whose
// fixtures have to pass before it is, and forgets them: those that carry some and
// were not in the chain before, bundled filters excepted.
func (c *Chain) TakeUnproved() []Unproved {
	var out []Unproved
	for _, f := range versionsOf(c.filters) {
		if f.unproved != nil {
			out = append(out, Unproved{f.Name, f.file(), hex.EncodeToString(f.pool.module.key.digest[:]), f.Memory, f.unproved})
			f.unproved = nil
		}
	}
	return out
}

// counts are a pool's, over the lanes.
type counts struct {
	calls     uint64
	verdicts  [len(verdictWords)]uint64
	failures  [numCauses]uint64
	instances int
	memory    uint64
	timed     uint64
	timedFor  time.Duration
	lanes     int           // in which calls were timed
	means     time.Duration // of them, added up
}

func (c *counts) add(s *slot) {
	c.calls += s.calls
	for a, n := range s.verdicts {
		c.verdicts[a] += n
	}
	for cause, n := range s.failures {
		c.failures[cause] += n
	}
	c.timed += s.timed
	c.timedFor += s.timedFor
	if s.timed > 0 {
		c.lanes++
		c.means += s.mean
	}
	if s.in != nil {
		c.instances++
		c.memory += uint64(s.in.mem.Size())
	}
}

// Stats counts what the chain's filters and their candidates have done, in order.
// It waits for each lane in turn, so it may take as long as the calls that are
// under way.
func (c *Chain) Stats() []Stats {
	versions := versionsOf(c.filters)
	all, sums := make([]Stats, len(versions)), make([]counts, len(versions))
	for i, f := range versions {
		all[i].InFlight = f.inFlight() // now: the calls under way have ended once their lanes were visited
	}
	c.host.lanes.visit(func(lane int) {
		for i, f := range versions {
			if f.pool.shadow == nil {
				sums[i].add(&f.pool.slots[lane])
			}
		}
	})
	out := make([]Stats, len(c.filters))
	i := 0
	for n := range c.filters {
		f := &c.filters[n]
		out[n] = all[i]
		f.fillStats(&out[n], &sums[i], RoleActive, 1)
		i++
		if v := f.candidate(); v != nil {
			role, share := f.role()
			v.fillStats(&all[i], &sums[i], role, share)
			if v.looker == f.looker {
				all[i].Lookup = nil // it is told once
			}
			out[n].Candidate = &all[i]
			i++
		}
	}
	return out
}

func (f *filter) inFlight() int {
	n := int(f.pool.inFlight.Load())
	if f.looker != nil {
		n += f.looker.asks.Stats().InFlight
	}
	return n
}

// fillStats puts the version's counts together.
func (f *filter) fillStats(out *Stats, c *counts, role string, share float64) {
	p := f.pool
	out.Info = f.info(role, share)
	out.Created, out.LogLost = p.created.Load(), p.logLost.Load()
	out.Store, out.Series = p.space.Stats(), p.space.Series()
	if p.keys != nil {
		status := p.keys.Status()
		out.Keys = &status
	}
	if p.shadow != nil {
		p.shadow.stats(out)
		return
	}
	if f.looker != nil {
		shown := f.looker.asks.Stats()
		out.Lookup = &shown
	}
	out.Calls, out.Instances, out.Memory = c.calls, c.instances, c.memory
	out.Timed, out.TimedTime = c.timed, c.timedFor
	if c.lanes > 0 {
		out.Average = c.means / time.Duration(c.lanes)
	}
	c.failures[CauseOverloaded] += p.overloaded.Load()
	c.failures[CauseLookup] += p.lookupFailed.Load()
	c.verdicts[router.Deny] += p.lookupDenied.Load()
	out.Verdicts, out.Failures = verdictCounts(&c.verdicts), failureCounts(&c.failures)
}

func verdictCounts(n *[len(verdictWords)]uint64) map[string]uint64 {
	out := make(map[string]uint64, len(verdictWords))
	for a, word := range verdictWords {
		out[word] = n[a]
	}
	return out
}

func failureCounts(n *[numCauses]uint64) map[string]uint64 {
	out := make(map[string]uint64, numCauses)
	for cause := CauseTimeout; cause < numCauses; cause++ {
		out[cause.String()] = n[cause]
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
