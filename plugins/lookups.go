package plugins

import (
	"slices"
	"strconv"
	"strings"

	"sluice/plugins/lookup"
	"sluice/router"
)

// looker is the lookup of one filter. Chains share it, and so do the filter's
// versions that ask the same.
type looker struct {
	// Static after construction.
	name string // the filter's
	asks *lookup.Lookup

	// Guarded by Host.mu.
	refs int
}

// hooksOf are the hooks that the words name.
func hooksOf(words []string) (set hookSet) {
	for hook := router.HookConnect; hook <= router.HookDisconnect; hook++ {
		if slices.Contains(words, hookWord(hook)) {
			set |= 1 << hook
		}
	}
	return set
}

func hookWord(h router.Hook) string { return strings.TrimPrefix(hookExports[h], "on_") }

// planLookup checks the settings' lookup against what the plugin is.
func (s *settings) planLookup(h *Host, m *module) error {
	if s.Lookup == nil {
		return nil
	}
	plan, err := s.Lookup.Plan(lookup.For{Hooks: m.hooks.words(), Headers: s.Headers, Query: s.Query, Cookies: s.Cookies})
	if err != nil {
		return lookupRefusal(err)
	}
	if m.hooks.has(router.HookConnect) && (plan.Spec().OnMiss == lookup.Skip || plan.Spec().OnFailure == lookup.Skip) {
		return refuse("set it to deny, or to pass and let the filter decide: if the filter were skipped, anyone would be let in",
			"lookup: on_miss or on_failure: skip does not go with a filter that has on_connect")
	}
	if plan.UsesRedis() && h.redis == nil && h.answers == nil {
		return refuse("set lookups.redis.address", "lookup.redis: the node has no Redis for lookups")
	}
	s.plan, s.looksUp = plan, hooksOf(plan.Hooks())
	return nil
}

func lookupRefusal(err error) error {
	if wrong, ok := err.(*lookup.FieldError); ok {
		key := "lookup"
		if wrong.Key != "" {
			key += "." + wrong.Key
		}
		return &refusal{key + ": " + wrong.Cause, wrong.Remedy}
	}
	return err
}

// takeLooker finds the lookup of the plan, with what it has learnt: the active
// version's for a candidate (active is nil for others), or in prev; or it makes one. The caller has a reference; nil: the filter has no lookup.
func (h *Host) takeLooker(s *settings, prev *Chain, active *filter) *looker {
	if s.plan == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var from []*filter
	if active != nil {
		from = append(from, active)
	}
	if prev != nil {
		from = append(from, versionsOf(prev.filters)...)
	}
	for _, f := range from {
		if l := f.looker; l != nil && l.refs > 0 && l.name == s.Name && l.asks.Plan().Same(s.plan) {
			l.refs++
			return l
		}
	}
	l := &looker{name: s.Name, asks: lookup.New(s.plan, lookup.Deps{Redis: h.redis, Now: h.now}), refs: 1}
	h.lookers[l] = struct{}{}
	return l
}

// releaseLookers takes a reference off each filter's lookup, and closes those
// that have none left.
func (h *Host) releaseLookers(filters []filter) {
	var unused []*looker
	h.mu.Lock()
	for _, f := range versionsOf(filters) {
		l := f.looker
		if l == nil {
			continue
		}
		if l.refs--; l.refs == 0 {
			delete(h.lookers, l)
			unused = append(unused, l)
		}
	}
	h.mu.Unlock()
	for _, l := range unused {
		l.asks.Close()
	}
}

// pin lets the event finish with this chain, though it gives its lane back for a
// while. The caller holds a lane, and has seen that the chain is not retired.
func (c *Chain) pin(q *question) {
	if !q.pinned {
		q.pinned = true
		c.pins.Add(1)
	}
}

// goOn makes the lookup of the filter at i, and goes on with the chain, for a
// pinned event. While it looks up it holds no lane, no gate and no lock.
func (c *Chain) goOn(i int, q *question, id *identity) {
	defer c.pins.Done()
	for i < len(c.filters) {
		switch c.filters[i].serving(q.event).inquire(c.host, q) {
		case lookupEnds:
			return
		case lookupSkips:
			i++
		default:
			q.answered = true
		}
		i, _ = c.stretch(i, q, id) // fails for events that are not pinned
	}
}

// inquire makes the filter's lookup for the event and puts its answer into the
// question, or carries out what the configuration says of an event without one.
// The caller holds no lane, no gate and no lock.
func (f *filter) inquire(h *Host, q *question) (outcome lookupOutcome) {
	about, ok := f.about(q)
	if !ok {
		return lookupPasses // run refuses the request, which is too large
	}
	var r lookup.Result
	if h.answers != nil {
		r = h.answers(f.Name, q.event)
	} else {
		r = f.looker.asks.Resolve(about)
	}
	v := &q.event.Verdict
	switch r.Status {
	case lookup.Missed:
		switch f.plan.Spec().OnMiss {
		case lookup.Deny:
			f.pool.lookupDenied.Add(1)
			v.Action, v.Code, v.Filter, v.Reason = router.Deny, 404, f.Name, "the lookup found nothing"
			return lookupEnds
		case lookup.Skip:
			return lookupSkips
		}
	case lookup.Failed:
		detail := r.Cause
		if r.Err != nil {
			detail += ": " + r.Err.Error()
		}
		h.reports.failure(f.pool, q.event.Hook, &failure{cause: CauseLookup, detail: detail})
		onFailure := f.plan.Spec().OnFailure
		if onFailure == lookup.Skip && r.Cause == lookup.CauseTemplate {
			onFailure = lookup.Deny // else a client that takes a room called .. chooses not to be judged
		}
		switch onFailure {
		case lookup.Deny:
			f.pool.lookupFailed.Add(1)
			v.Action, v.Code, v.Filter = router.Deny, 503, f.Name
			v.Reason, v.Failure = "a lookup failed", CauseLookup.String()
			return lookupEnds
		case lookup.Skip:
			f.pool.lookupFailed.Add(1)
			return lookupSkips
		}
	}
	q.lookupStatus = r.Status
	if r.Status == lookup.Found {
		q.lookup = r.Value
	}
	return lookupPasses
}

// lookupOutcome is what comes after a lookup.
type lookupOutcome uint8

const (
	lookupPasses lookupOutcome = iota // the filter is asked
	lookupSkips                       // the next filter is asked
	lookupEnds                        // the event is refused
)

// about is the event as a lookup sees it. ok is false if it names more of the
// request than the ABI carries.
func (f *filter) about(q *question) (about *lookup.Event, ok bool) {
	e := q.event
	about = &lookup.Event{
		Hook: hookWord(e.Hook), Kind: kindWord(e), Time: e.Time, Conn: strconv.FormatUint(e.Conn, 16), Seq: e.Seq,
		User: q.user, Room: q.room, Target: e.Target, Remote: e.Remote, Claims: q.claims, Payload: q.payload,
	}
	if e.Hook != router.HookConnect || e.Request == nil {
		return about, true
	}
	entries, ok := selectMeta(e.Request, &f.settings)
	r := &lookup.Request{Headers: map[string][]string{}, Query: map[string][]string{}, Cookies: map[string][]string{}}
	for _, m := range entries {
		switch m.kind {
		case metaHeader:
			r.Headers[m.name] = append(r.Headers[m.name], m.value)
		case metaQuery:
			r.Query[m.name] = append(r.Query[m.name], m.value)
		case metaCookie:
			r.Cookies[m.name] = append(r.Cookies[m.name], m.value)
		}
	}
	r.Path, r.Host, r.Origin = e.Request.URL.Path, e.Request.Host, e.Request.Header.Get("Origin")
	about.Request = r
	return about, ok
}

func kindWord(e *router.Event) string {
	switch {
	case e.Hook == router.HookConnect && e.Kind == router.KindNew:
		return "new"
	case e.Hook == router.HookConnect && e.Kind == router.KindRefresh:
		return "refresh"
	case e.Hook != router.HookMessage:
		return ""
	case e.Kind == router.KindRoom:
		return "room"
	case e.Kind == router.KindBroadcast:
		return "broadcast"
	case e.Kind == router.KindDirect:
		return "direct"
	}
	return ""
}
