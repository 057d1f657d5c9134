package keys

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
)

// Options of a Set. The zero value is usable.
type Options struct {
	// Transport carries the fetches of key sets. Default: one of our own, that
	// refuses link-local addresses after the name was resolved, and http beyond
	// loopback. Another has to do so itself; tests use it.
	Transport http.RoundTripper

	// Log gets warnings, failed fetches and recoveries, none of which names a
	// key. Default: nowhere.
	Log *slog.Logger
}

// Set is the keys of a filter. Its methods are safe for concurrent use.
type Set struct {
	// Static after NewSet.
	entries []*entry
	sources []*source // of the entries with a URL, in order
	digest  [32]byte
	log     *slog.Logger

	// Any goroutine.
	view    atomic.Pointer[view]
	results [numResults]atomic.Uint64

	// Set by Start, ended by Close.
	started atomic.Bool
	ctx     context.Context // done once Close was called
	cancel  context.CancelFunc
	loops   sync.WaitGroup

	mu sync.Mutex // guards the sources' state, and the order of views
}

// NewSet reads and checks keys. It reads files, but fetches nothing and starts
// nothing: a check of a configuration ends here. Errors name the entry, the
// cause and the remedy, and never a key.
func NewSet(specs []Spec, o Options) (*Set, error) {
	if len(specs) == 0 {
		return nil, errors.New("keys: the list is empty; add a key, or leave keys out")
	}
	if len(specs) > maxSpecs {
		return nil, fmt.Errorf("keys: %d entries, and %d are the most; put public keys into one jwks", len(specs), maxSpecs)
	}
	s := &Set{log: o.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for i, spec := range specs {
		e, err := spec.read()
		if err != nil {
			s.cancel()
			return nil, fmt.Errorf("keys[%d]: %w", i, err)
		}
		s.entries = append(s.entries, e)
		if e.url != nil {
			s.sources = append(s.sources, newSource(s, e, o.Transport))
		}
	}
	if err := s.checkTwice(); err != nil {
		s.cancel()
		return nil, err
	}
	s.digest = s.sum()
	s.mu.Lock()
	s.publishLocked()
	s.mu.Unlock()
	return s, nil
}

// checkTwice looks for entries that say the same, or contradict each other.
func (s *Set) checkTwice() error {
	urls := make(map[string]int)
	for i, e := range s.entries {
		if e.url != nil {
			if first, ok := urls[e.url.String()]; ok {
				return fmt.Errorf("keys[%d]: its URL is that of keys[%d]; leave one out, and put what is allowed into its algs", i, first)
			}
			urls[e.url.String()] = i
			continue
		}
		for j, other := range s.entries[:i] {
			for _, k := range e.keys {
				for _, o := range other.keys {
					switch {
					case k.id == o.id && k.algs&o.algs != 0 && k.kid == o.kid:
						return fmt.Errorf("keys[%d]: its key is that of keys[%d]; leave one out", i, j)
					case k.kid != "" && k.kid == o.kid && k.algs&o.algs != 0:
						return fmt.Errorf("keys[%d]: another key has the kid %q in keys[%d]; give each its own", i, k.kid, j)
					}
				}
			}
		}
	}
	return nil
}

// sum tells sets apart that were not made of the same keys.
func (s *Set) sum() (sum [32]byte) {
	h := sha256.New()
	text := func(t string) {
		_ = binary.Write(h, binary.LittleEndian, uint64(len(t)))
		_, _ = h.Write([]byte(t))
	}
	for _, e := range s.entries {
		if e.url != nil {
			text(e.url.String())
			text(e.spec.WhenDown)
			_ = binary.Write(h, binary.LittleEndian, [2]int64{int64(e.binding.algs), int64(e.spec.Refresh)})
		}
		_ = binary.Write(h, binary.LittleEndian, uint64(len(e.keys)))
		for _, k := range e.keys {
			text(k.kid)
			_, _ = h.Write(k.id[:])
			_ = binary.Write(h, binary.LittleEndian, k.algs)
		}
	}
	return [32]byte(h.Sum(nil))
}

// Same reports whether both sets were made of the same keys and URLs, so that
// a reload can keep the one that runs. The contents of files count.
func (s *Set) Same(other *Set) bool { return other != nil && s.digest == other.digest }

// Warnings are what an operator should know about the configured keys; Start
// logs them.
func (s *Set) Warnings() []string {
	var all []string
	for i, e := range s.entries {
		for _, w := range e.warnings {
			all = append(all, fmt.Sprintf("keys[%d]: %s", i, w))
		}
	}
	if n := s.view.Load().unreached; n > 0 {
		all = append(all, fmt.Sprintf("keys: %d keys are beyond those that are tried with a signature without a kid (%d, of ES384 %d, of ES512 %d); have signers set a kid", n, hs256.tries(), es384.tries(), es512.tries()))
	}
	return all
}

// Start fetches the URLs of the set once, at the same time, which takes at most
// 5 seconds, and refreshes them until Close. If one does not answer and its
// entry does not say Wait, Start fails, with the cause and the remedy, and the
// set is closed. Start is called once. Keys that need no fetching verify without it.
//
// previous, if not nil, is the set that this one is to replace: keys that it has
// from the same URL, under the same algs, are taken over at once, so that a
// reload neither waits for a URL nor fails with it.
func (s *Set) Start(ctx context.Context, previous *Set) error {
	if s.started.Swap(true) {
		return errors.New("keys: the set was already started")
	}
	for _, w := range s.Warnings() {
		s.log.Warn(w)
	}
	if previous != nil {
		s.adopt(previous)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()

	failed := make([]error, len(s.sources))
	var first sync.WaitGroup
	for i, src := range s.sources {
		if src.loaded { // nothing else runs yet
			continue
		}
		first.Go(func() {
			if err := src.attempt(ctx); err != nil && !src.wait {
				failed[i] = fmt.Errorf("%s: %w; correct it, or set when_down: wait to start without its keys", src.shown, err)
			}
		})
	}
	first.Wait()
	err := errors.Join(failed...)
	if ctx.Err() != nil {
		err = fmt.Errorf("keys: given up before the key sets had come: %w", ctx.Err())
	}
	if err != nil {
		s.Close()
		return err
	}
	for _, src := range s.sources {
		s.loops.Go(func() { src.run(s.ctx) })
	}
	return nil
}

// adopt takes over what previous has fetched.
func (s *Set) adopt(previous *Set) {
	for _, src := range s.sources {
		i := slices.IndexFunc(previous.sources, func(p *source) bool {
			return p.url.String() == src.url.String() && p.binding == src.binding
		})
		if i < 0 {
			continue
		}
		previous.mu.Lock()
		from := previous.sources[i].state
		previous.mu.Unlock()
		if !from.loaded {
			continue
		}
		if due := from.fetched.Add(src.refresh); src.refresh > 0 && due.Before(from.next) {
			from.next = due
		}
		s.mu.Lock()
		src.state = from
		s.mu.Unlock()
	}
	s.mu.Lock()
	s.publishLocked()
	s.mu.Unlock()
}

// Close ends the refreshing and waits for it. Verify goes on with the keys that
// are there.
func (s *Set) Close() {
	s.cancel()
	s.loops.Wait()
}

// Format prints how many keys there are, and none of them.
func (s *Set) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "keys.Set(%d keys)", s.view.Load().count)
}

// view is the keys at one time, by how they are found. Immutable.
type view struct {
	count     int               // keys in all
	hasKids   bool              // a key has a kid, or may have one once it has come
	byKid     map[string][]*key // for each algorithm at most its tries
	byAlg     [numAlgs][]*key   // all that are bound to it; at most its tries
	unreached int               // keys that these bounds leave out, in some list
}

// publishLocked makes the view of the keys that are there now.
func (s *Set) publishLocked() {
	v := &view{byKid: make(map[string][]*key)}
	next := 0
	for _, e := range s.entries {
		list := e.keys
		if e.url != nil {
			src := s.sources[next]
			next++
			list = src.keys
			// Until a set has come it counts as one with kids: a token must not be
			// admitted before that will be refused after.
			v.hasKids = v.hasKids || !src.loaded
		}
		for _, k := range list {
			v.add(k)
		}
	}
	s.view.Store(v)
}

func (v *view) add(k *key) {
	v.count++
	named := v.byKid[k.kid]
	unnamed, crowded := false, false
	for a := hs256; a < numAlgs; a++ {
		if !k.algs.has(a) {
			continue
		}
		if len(v.byAlg[a]) < a.tries() {
			v.byAlg[a] = append(v.byAlg[a], k)
		} else {
			unnamed = true
		}
		same := 0
		for _, other := range named {
			if other.algs.has(a) {
				same++
			}
		}
		crowded = crowded || same >= a.tries()
	}
	if k.kid != "" {
		v.hasKids = true
		if !crowded {
			v.byKid[k.kid] = append(named, k)
		}
	}
	if unnamed || k.kid != "" && crowded {
		v.unreached++
	}
}
