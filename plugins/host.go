package plugins

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"sluice/plugins/lookup"
	"sluice/plugins/source"
	"sluice/router"
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

	// Sources reads plugins from files and from other machines; nil: one that
	// keeps nothing on disk.
	Sources *source.Reader

	// Now is the clock that guests see, and that what they keep on the node goes
	// by; nil: time.Now. Time limits keep to the real one. It is read under locks,
	// so it must neither wait nor call the host.
	Now func() time.Time

	// Random is where guests' random bytes come from; nil: crypto/rand. It must
	// be safe for concurrent use.
	Random io.Reader

	// Tracer is told of every call into a filter; nil: nobody is.
	Tracer Tracer

	// Recorder is told of events; nil: nobody is, and nothing is paid for it.
	Recorder Recorder

	// Redis is where lookups of Redis keys are made; nil: there is none, and
	// filters with such a lookup are refused. If it is an io.Closer, Host.Close
	// closes it.
	Redis lookup.RedisClient

	// Lookup, if set, answers all lookups in place of the network. It is for
	// tests of filters.
	Lookup func(filter string, e *router.Event) lookup.Result
}

// Host loads filters and runs them.
type Host struct {
	// Static after construction.
	lanes    *lanes
	slow     gate // for chains with a filter that is slow on the event
	compiler *compiler
	reports  *reports
	builtins fs.FS
	sources  *source.Reader
	log      *slog.Logger
	now      func() time.Time
	clock    func() int64 // see clockOf
	random   io.Reader
	tracer   Tracer   // nil: none
	recorder Recorder // nil: none
	oracle   Oracle   // the recorder, if it is one
	started  time.Time
	redis    lookup.RedisClient                                 // nil: none
	answers  func(filter string, e *router.Event) lookup.Result // in place of lookups; nil: they are made

	spareWait time.Duration // see spareWait

	building sync.Mutex       // held by Build: one at a time
	fetched  []*source.Module // by the Build under way, from other machines; guarded by building

	// Guarded by mu.
	mu      sync.Mutex
	closed  bool
	pools   map[*pool]struct{}
	modules map[moduleKey]*module
	lookers map[*looker]struct{}
	spaces  map[string]*space // by the filter's name
	spares  sync.WaitGroup    // goroutines that make spare instances; added to under mu
}

// NewHost starts a host. Close ends it.
func NewHost(o HostOptions) (*Host, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	clock := clockOf(&o)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Sources == nil {
		o.Sources = source.New(source.Options{Log: o.Log})
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
		sources:  o.Sources,
		log:      o.Log,
		now:      o.Now,
		clock:    clock,
		random:   o.Random,
		tracer:   o.Tracer,
		recorder: o.Recorder,
		started:  o.Now(),
		redis:    o.Redis,
		answers:  o.Lookup,
		pools:    make(map[*pool]struct{}),
		modules:  make(map[moduleKey]*module),
		lookers:  make(map[*looker]struct{}),
		spaces:   make(map[string]*space),

		spareWait: spareWait,
	}
	h.oracle, _ = o.Recorder.(Oracle)
	compiler.recorded = o.Recorder != nil
	h.slow = newGate(len(h.lanes.all))
	return h, nil
}

// Close ends the host and everything that it runs, lookups that are under way
// included. Events that are judged later fail as "unavailable".
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
	var asking []*looker
	for l := range h.lookers {
		asking = append(asking, l)
	}
	h.mu.Unlock()
	for _, l := range asking {
		l.asks.Close()
	}
	for _, p := range all {
		p.retire()
	}
	h.closePools(all)
	h.spares.Wait()
	h.reports.close()
	err := h.compiler.close(ctx)
	if c, ok := h.redis.(io.Closer); ok {
		err = errors.Join(err, c.Close())
	}
	return err
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
	for _, f := range versionsOf(filters) {
		p := f.pool
		if p.refs--; p.refs == 0 {
			delete(h.pools, p)
			if p.shadow == nil {
				h.releaseSpaceLocked(p.key.name)
			}
			dead = append(dead, p)
		}
	}
	h.mu.Unlock()
	for _, p := range dead {
		p.retire()
	}
	return dead
}

// closePools closes the instances of retired pools when nobody uses them any more.
func (h *Host) closePools(pools []*pool) {
	h.lanes.visit(func(i int) {
		for _, p := range pools {
			if p.shadow == nil {
				p.closeSlot(i)
			}
		}
	})
	for _, p := range pools {
		if p.shadow != nil {
			p.endShadow()
			p.closeSlots()
		}
	}
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
