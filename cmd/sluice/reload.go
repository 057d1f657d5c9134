package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"time"

	"sluice/admin"
	"sluice/plugins"
	"sluice/router"
)

// reloadTime bounds one reload: reading, compiling, fetching keys, and the
// fixtures that modules carry.
const reloadTime = time.Minute

// reloads replaces the generation of a running node, one reload at a time: the
// configuration is read, checked and built whole, off the path of events, and
// put into force by one swap of a pointer. Whatever fails, what was in force
// stays. Only the log's level, and whether profiles are served, are set beside that
// swap, right before it.
//
// The generation that was replaced stays built until the next reload, so that
// going back to it cannot fail.
type reloads struct {
	// Static after construction.
	node  *node
	from  sources
	level *slog.LevelVar
	turn  chan struct{} // holds one token: who has it reloads
	ended context.Context
	end   context.CancelFunc
	loops sync.WaitGroup

	// Owned by who has the token.
	now    inForce
	before *inForce // to go back to; nil: there is none
	files  looks    // that the last reload read, or refused to, and those of what is in force
	guard  *guard

	mu     sync.Mutex
	status admin.ReloadStatus // guarded by mu
}

var _ admin.Reloader = (*reloads)(nil)

// inForce is a generation with what it was made from. It is not changed.
type inForce struct {
	generation *router.Generation
	config     *loaded
	files      looks // that config was read from, as they were then
}

// newReloads takes over a node whose configuration was read with from, and from
// its files.
func newReloads(n *node, from sources, level *slog.LevelVar) *reloads {
	r := &reloads{node: n, from: from, level: level, turn: make(chan struct{}, 1)}
	r.now = inForce{n.router.Generation(), n.config, from.Looks}
	r.files = make(looks)
	r.files.take(from.Looks)
	r.status.Loaded = time.Now()
	r.guard = newGuard(time.Now)
	r.guard.begin(r.guard.clock(), n.config.RollbackOn, readingOf(chainOf(r.now.generation).Stats()))
	r.setBeside(n.config)
	r.ended, r.end = context.WithCancel(context.Background())
	r.turn <- struct{}{}
	return r
}

// Status implements admin.Reloader.
func (r *reloads) Status() admin.ReloadStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// begin waits for the turn. Unless it fails, done is called at the end.
func (r *reloads) begin(ctx context.Context) (done func(), err error) {
	select {
	case <-r.turn:
	case <-r.ended.Done():
		return nil, admin.ErrStopping
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	done = func() { r.turn <- struct{}{} }
	if r.ended.Err() != nil {
		done()
		return nil, admin.ErrStopping
	}
	return done, nil
}

// Reload implements admin.Reloader. It does not end with ctx once it has begun:
// who asked for it may hang up, and still wants it.
func (r *reloads) Reload(ctx context.Context, trigger string) (generation uint64, err error) {
	done, err := r.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	return r.reload(trigger)
}

// reloadChanged reloads if a file has changed since the last reload read it,
// whether that was refused or not. So what was gone back from is not read again
// until it is changed. It reports whether it did.
func (r *reloads) reloadChanged() bool {
	done, err := r.begin(r.ended)
	if err != nil {
		return false
	}
	defer done()
	if !r.files.changed(false) {
		return false
	}
	// What came of it is logged and shown.
	_, _ = r.reload("watch")
	return true
}

// touched reports, at little cost, whether a file seems to have changed since.
func (r *reloads) touched() bool {
	done, err := r.begin(r.ended)
	if err != nil {
		return false
	}
	defer done()
	return r.files.changed(true)
}

// points are where changes matter; false: the node ends.
func (r *reloads) points(out *points) bool {
	done, err := r.begin(r.ended)
	if err != nil {
		return false
	}
	defer done()
	*out = newPoints(r.files)
	return true
}

// reload makes one reload, and says what came of it. The caller has the turn.
func (r *reloads) reload(trigger string) (generation uint64, err error) {
	begin := time.Now()
	r.node.log.Debug("reloading", "trigger", trigger)
	generation, err = r.replace()
	took := time.Since(begin).Round(time.Millisecond).String()
	r.note(trigger, err)
	if err != nil {
		r.node.log.Error("a reload was refused; what was in force stays so", "trigger", trigger, "generation", generation, "took", took, "error", err)
		return generation, err
	}
	r.node.log.Info("reloaded", "trigger", trigger, "generation", generation, "took", took, "filters", len(r.now.config.Filters))
	return generation, nil
}

// replace does the work of a reload.
func (r *reloads) replace() (generation uint64, err error) {
	current := r.now.generation
	next, files, err := r.read()
	if err != nil {
		return current.Number, err
	}
	ctx, cancel := context.WithTimeout(r.ended, reloadTime)
	defer cancel()
	built, err := buildGeneration(ctx, next, r.node.host, current)
	if r.ended.Err() != nil {
		if err == nil {
			retire(built)
		}
		err = admin.ErrStopping
	}
	if err != nil {
		return current.Number, err
	}
	r.files = make(looks)
	r.files.take(files)
	r.commit(inForce{built, next, files})
	return built.Number, nil
}

// read reads the configuration, and notes in r.files how the files were before:
// those that it names, and those of what stays in force if it is refused.
func (r *reloads) read() (next *loaded, files looks, err error) {
	files = make(looks)
	r.files = make(looks)
	r.files.add(r.now.files)
	from := r.from
	from.Looks = files
	next, err = load(from)
	r.files.take(files)
	if err != nil {
		return nil, files, err
	}
	if err := r.now.config.lost(next); err != nil {
		return nil, files, err
	}
	return next, files, fixedChanges(r.now.config, next)
}

// commit puts a generation into force, and keeps the one before to go back to.
// A generation of the very same configuration and modules does not count as
// another: one goes back to what was before both.
func (r *reloads) commit(next inForce) {
	old := r.now
	r.guardSwap(&next)
	r.setBeside(next.config)
	r.now = next
	r.node.router.Swap(next.generation)
	if r.before != nil && next.same(&old) {
		retire(old.generation)
	} else {
		if r.before != nil {
			retire(r.before.generation)
		}
		park(old.generation)
		r.before = &old
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Loaded = time.Now()
	r.status.Previous = r.before.generation.Number
}

// setBeside sets what of a configuration is no part of the generation.
func (r *reloads) setBeside(config *loaded) {
	r.level.Set(config.logLevel())
	r.node.profiling.Set(config.Admin.Pprof)
}

// same reports whether both were made from the same files and modules.
func (f *inForce) same(other *inForce) bool {
	if !f.files.equal(other.files) {
		return false
	}
	a, b := chainOf(f.generation), chainOf(other.generation)
	return sameModules(a.Info(), b.Info()) && sameModules(a.Candidates(), b.Candidates())
}

func sameModules(a, b []plugins.Info) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Digest != b[i].Digest {
			return false
		}
	}
	return true
}

// chainOf is the generation's filters.
func chainOf(g *router.Generation) *plugins.Chain { return g.Filters.(*plugins.Chain) }

// park ends the use of a generation's filters, and keeps them.
func park(g *router.Generation) { chainOf(g).Park() }

func (r *reloads) note(trigger string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.status.Done++
		return
	}
	r.status.Refused++
	r.status.Failure = &admin.ReloadFailure{At: time.Now(), Trigger: trigger, Error: err.Error()}
}

// listen reloads at each SIGHUP, and when files change, until stop.
func (r *reloads) listen() {
	if r.node.config.Reload.Watch {
		r.watch()
	}
	r.guarding()
	hangups := make(chan os.Signal, 1) // several that come at one time are one
	signal.Notify(hangups, syscall.SIGHUP)
	r.loops.Add(1)
	go func() {
		defer r.loops.Done()
		defer signal.Stop(hangups)
		for {
			select {
			case <-hangups:
				// What came of it is logged and shown.
				_, _ = r.Reload(r.ended, "SIGHUP")
			case <-r.ended.Done():
				return
			}
		}
	}()
}

// stop lets no reload begin any more, waits for the one under way, and gives up
// what could be gone back to.
func (r *reloads) stop() {
	r.end()
	r.loops.Wait()
	<-r.turn
	defer func() { r.turn <- struct{}{} }()
	if r.before != nil {
		retire(r.before.generation)
		r.before = nil
	}
}

// lost refuses to go on without a file that was there, or with one in which
// nothing is left: a disk was full, or somebody is about to write it. The node
// would go on without its filters.
func (l *loaded) lost(next *loaded) error {
	if l.File == "" {
		return nil
	}
	if next.File == "" {
		return configErrors{{Place: place{File: l.File}, Text: "it is gone; put it back, or restart the node to run it without one"}}
	}
	written := func(l *loaded) bool {
		for _, p := range l.Places {
			if p.File == l.File {
				return true
			}
		}
		return false
	}
	if written(l) && !written(next) {
		return configErrors{{Place: place{File: next.File}, Text: "it has become empty; write it anew, or restart the node to run it with the defaults"}}
	}
	return nil
}

// fixedChanges are the settings that differ, and cannot while the node runs.
// A reload is refused as a whole because of them: it would otherwise do half of
// what the file says. A list is compared as a whole: either all keys of its
// entries can change, or none (a test says so).
func fixedChanges(old, next *loaded) error {
	var errs configErrors
	was, is := reflect.ValueOf(&old.Config).Elem(), reflect.ValueOf(&next.Config).Elem()
	for _, k := range fixed() {
		if !reflect.DeepEqual(k.valueIn(was), k.valueIn(is)) {
			errs.add(next.placeOf(k.Path), k.Path, "it cannot change while the node runs; restart the node, or change it back")
		}
	}
	return errs.orNil()
}

// valueIn finds the key's value in a Config.
func (k *key) valueIn(config reflect.Value) any {
	for name := range strings.SplitSeq(k.Path, ".") {
		config = fieldOf(config, name)
	}
	return config.Interface()
}

// fieldOf is the field of a struct that has the key.
func fieldOf(section reflect.Value, name string) reflect.Value {
	for i := range section.NumField() {
		switch section.Type().Field(i).Tag.Get("koanf") {
		case name:
			return section.Field(i)
		case squashed:
			if f := fieldOf(section.Field(i), name); f.IsValid() {
				return f
			}
		}
	}
	return reflect.Value{}
}
