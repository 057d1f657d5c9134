package plugins

import (
	"context"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"sluice/plugins/keys"
)

// HostOptions configure a host. The zero value works.
type HostOptions struct {
	// CacheDir is where compiled filters are kept between starts. It is made if
	// it does not exist, and must be writable by nobody else, since it holds
	// executable code. "": they are compiled anew at each start.
	CacheDir string

	// Lanes is how many events are judged at one time, and how many instances
	// each filter has; 0: GOMAXPROCS, and at least two.
	Lanes int

	// Log receives failures, warnings and what filters log; nil: slog.Default.
	Log *slog.Logger

	// Builtins holds the bundled filters: builtin:<name> is
	// <name>/<name>.wasm. nil: there are none.
	Builtins fs.FS

	// Now is the clock that guests see; nil: time.Now. Time limits keep to the
	// real one.
	Now func() time.Time
}

// Host loads filters and runs them.
type Host struct {
	// Static after construction.
	lanes    *lanes
	slow     gate // for chains with a filter that is slow on the event
	compiler *compiler
	reports  *reports
	builtins fs.FS
	log      *slog.Logger
	now      func() time.Time
	started  time.Time

	spareWait time.Duration // see spareWait

	building sync.Mutex // held by Build: one at a time

	// Guarded by mu.
	mu      sync.Mutex
	closed  bool
	pools   map[*pool]struct{}
	modules map[moduleKey]*module
	spares  sync.WaitGroup // goroutines that make spare instances; added to under mu
}

// NewHost starts a host. Close ends it.
func NewHost(o HostOptions) (*Host, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	compiler, err := newCompiler(o.CacheDir, o.Log)
	if err != nil {
		return nil, err
	}
	h := &Host{
		lanes:    newLanes(o.Lanes),
		compiler: compiler,
		reports:  newReports(o.Log),
		builtins: o.Builtins,
		log:      o.Log,
		now:      o.Now,
		started:  o.Now(),
		pools:    make(map[*pool]struct{}),
		modules:  make(map[moduleKey]*module),

		spareWait: spareWait,
	}
	h.slow = newGate(len(h.lanes.all))
	return h, nil
}

// Close ends the host and everything that it runs. Events that are judged
// later fail as "unavailable".
func (h *Host) Close(ctx context.Context) error {
	h.building.Lock()
	defer h.building.Unlock()
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	var all []*pool
	for p := range h.pools {
		all = append(all, p)
	}
	h.mu.Unlock()
	for _, p := range all {
		p.retire()
	}
	h.lanes.visit(func(i int) {
		for _, p := range all {
			p.closeSlot(i)
		}
	})
	h.spares.Wait()
	h.reports.close()
	return h.compiler.close(ctx)
}

// begin counts a goroutine that makes a spare, unless the host is closed.
func (h *Host) begin() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.spares.Add(1)
	return true
}

func (h *Host) end() { h.spares.Done() }

// share adds a reference to the pool of prev that has the key, if there is one
// with the same keys to verify with.
func (h *Host) share(prev *Chain, key poolKey, set *keys.Set) *pool {
	if prev == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range prev.filters {
		if p := prev.filters[i].pool; p.key == key && p.refs > 0 && sameKeys(p.keys, set) {
			p.refs++
			return p
		}
	}
	return nil
}

// adopt makes a new pool known, with one reference.
func (h *Host) adopt(p *pool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p.refs = 1
	h.pools[p] = struct{}{}
}

// releasePools takes a reference off each filter's pool, and returns the pools
// that have none left. Their lanes' instances are still open.
func (h *Host) releasePools(filters []filter) (dead []*pool) {
	h.mu.Lock()
	for i := range filters {
		p := filters[i].pool
		if p.refs--; p.refs == 0 {
			delete(h.pools, p)
			dead = append(dead, p)
		}
	}
	h.mu.Unlock()
	for _, p := range dead {
		p.retire()
	}
	return dead
}

// releaseModules takes the pools' references off their modules.
func (h *Host) releaseModules(dead []*pool) {
	for _, p := range dead {
		h.releaseModule(p.module)
	}
}

func (h *Host) releaseModule(m *module) {
	h.mu.Lock()
	m.refs--
	last := m.refs == 0
	if last {
		delete(h.modules, m.key)
	}
	h.mu.Unlock()
	if last {
		m.close()
	}
}
