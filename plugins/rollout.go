package plugins

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"sluice/plugins/keys"
	"sluice/router"
)

// Roles of a filter's versions.
const (
	RoleActive = "active" // what the filter is
	RoleCanary = "canary" // judges a share of the connections in its place
	RoleShadow = "shadow" // is asked about a share of its events beside it, with no effect
)

// Candidate is another version of a filter that is tried out beside it. It has
// the filter's name and all its settings but the following.
type Candidate struct {
	// Plugin and Dir are as in Spec.
	Plugin, Dir string

	// SHA256 is as in Spec; the filter's own is not the candidate's.
	SHA256 string

	// Config is the candidate's; nil: the filter's.
	Config json.RawMessage

	// Role is RoleCanary or RoleShadow.
	Role string

	// Share is the part of the connections, of a canary, or of the events, of a
	// shadow, between 0 and 1. A canary keeps its connections while the share grows.
	// 0: the candidate is loaded, and asked nothing.
	Share float64
}

func (c *Candidate) check() error {
	switch {
	case c.Plugin == "":
		return errors.New("plugin: name a .wasm file or builtin:<name>")
	case c.Role != RoleCanary && c.Role != RoleShadow:
		return fmt.Errorf("%q is neither canary nor shadow", c.Role)
	case math.IsNaN(c.Share) || c.Share < 0 || c.Share > 1:
		return fmt.Errorf("%s: %v is not a share between 0 and 1", c.Role, c.Share)
	}
	return nil
}

// spec is the candidate as a filter of its own.
func (c *Candidate) spec(of Spec) Spec {
	of.Candidate = nil
	of.Plugin, of.Dir, of.SHA256 = c.Plugin, c.Dir, c.SHA256
	if c.Config != nil {
		of.Config = c.Config
	}
	return of
}

// candidateError is why a filter's candidate cannot be used.
type candidateError struct {
	spec Spec
	err  error
}

func (e *candidateError) Error() string { return e.err.Error() }

// shareBits is how finely connections and events are divided.
const shareBits = 53

// below is the point up to which a share reaches, of 1<<shareBits.
func below(share float64) uint64 { return uint64(share * (1 << shareBits)) }

// chance maps two numbers to a point that a share is compared with.
func chance(n, salt uint64) uint64 {
	n = (n ^ salt) + 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return (n ^ n>>31) >> (64 - shareBits)
}

// saltOf makes each candidate of each filter draw other connections and events.
func saltOf(filter string, digest [32]byte) uint64 {
	sum := sha256.Sum256(append([]byte(filter), digest[:]...))
	return binary.LittleEndian.Uint64(sum[:])
}

// canary is a candidate that judges some connections.
type canary struct {
	filter      filter // for these connections
	share       float64
	salt, below uint64
}

func (c *canary) has(conn uint64) bool { return conn != 0 && chance(conn, c.salt) < c.below }

// serving is the version of the filter that judges the event. Connections keep
// theirs: it depends on nothing else of the event. What comes from the server has
// no connection, and is the active version's.
func (f *filter) serving(e *router.Event) *filter {
	if f.canary != nil && f.canary.has(e.Conn) {
		return &f.canary.filter
	}
	return f
}

// versionsOf are the filters in order, each followed by its candidate.
func versionsOf(filters []filter) []*filter {
	out := make([]*filter, 0, len(filters))
	for i := range filters {
		f := &filters[i]
		out = append(out, f)
		if c := f.candidate(); c != nil {
			out = append(out, c)
		}
	}
	return out
}

// candidate is the filter's, or nil.
func (f *filter) candidate() *filter {
	switch {
	case f.canary != nil:
		return &f.canary.filter
	case f.shadow != nil:
		return &f.shadow.filter
	}
	return nil
}

// role is what the candidate, or the filter without one, is shown as.
func (f *filter) role() (role string, share float64) {
	switch {
	case f.canary != nil:
		return RoleCanary, f.canary.share
	case f.shadow != nil:
		return RoleShadow, f.shadow.share
	}
	return RoleActive, 1
}

// addCandidate loads the filter's candidate.
func (h *Host) addCandidate(ctx context.Context, f *filter, prev *Chain) error {
	c := f.Candidate
	spec := c.spec(f.Spec)
	err := c.check()
	if err == nil {
		var s settings
		if s, err = spec.check(); err == nil {
			var version filter
			if version, err = h.buildVersion(ctx, &s, prev, f); err == nil {
				err = h.attach(f, version)
			}
		}
	}
	if err != nil {
		return &candidateError{spec, err}
	}
	return nil
}

// attach makes a loaded version the filter's candidate.
func (h *Host) attach(f *filter, version filter) error {
	c := f.Candidate
	salt := saltOf(f.Name, version.pool.key.module.digest)
	if c.Role == RoleShadow {
		f.shadow = &shadowing{filter: version, share: c.Share, salt: salt, below: below(c.Share)}
		return nil
	}
	// Else clients would be let in that nobody has looked at, or a node would look
	// guarded that is so for a few.
	if a, b := f.pool.module.hooks, version.pool.module.hooks; a.has(router.HookConnect) != b.has(router.HookConnect) {
		h.abandon([]filter{version})
		with, without := "the filter", "its candidate"
		if b.has(router.HookConnect) {
			with, without = without, with
		}
		return refuse("let both have it or neither, or try the candidate with shadow", "%s has on_connect, and %s has not", with, without)
	}
	for _, hook := range []router.Hook{router.HookJoin, router.HookMessage} {
		if f.pool.module.hooks.has(hook) && !version.pool.module.hooks.has(hook) {
			h.abandon([]filter{version})
			return refuse("export "+hookExports[hook]+", if only to continue, or try the candidate with shadow",
				"the filter has %s, and its candidate has not: a share of the connections would pass unjudged", hookExports[hook])
		}
	}
	f.canary = &canary{filter: version, share: c.Share, salt: salt, below: below(c.Share)}
	return nil
}

// besideKey says in the key of a shadow's pool what it runs beside: it compares
// with that version alone.
func besideKey(active *pool) [32]byte {
	k := &active.key
	sum := sha256.New()
	sum.Write(k.module.digest[:])
	_ = binary.Write(sum, binary.LittleEndian, k.module.pages)
	sum.Write([]byte(k.config))
	return [32]byte(sum.Sum(nil))
}

// share adds a reference to a pool of prev that has the key, if there is one with
// the same keys to verify with. beside is the active version, for a candidate,
// whose pool it does not share: each counts its own.
func (h *Host) share(prev *Chain, key poolKey, set *keys.Set, beside *filter) *pool {
	if prev == nil {
		return nil
	}
	all := versionsOf(prev.filters)
	if beside != nil {
		// A candidate goes on as one, and takes over from a version that was active
		// until now if it was not one.
		slices.Reverse(all)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range all {
		p := f.pool
		if p.key == key && p.refs > 0 && sameKeys(p.keys, set) && (beside == nil || p != beside.pool) {
			p.refs++
			return p
		}
	}
	return nil
}
