package router

import "fmt"

// current is a generation in force, with what can be worked out of it once.
type current struct {
	*Generation
	limits   Limits  // with the defaults filled in
	open     bool    // nobody asks clients who they are
	defaults *Grants // of identities without grants
	rules    *ruleSet
}

// ruleSet is a generation's room rules. Rooms hold on to it, and so it holds on
// to nothing else of the generation.
type ruleSet struct {
	rules []boundRule
	none  boundRule // of rooms that no rule matches
}

type boundRule struct {
	set *ruleSet
	RoomRule
}

func newCurrent(g *Generation) (*current, error) {
	if g == nil {
		return nil, fmt.Errorf("router: the generation is nil")
	}
	cur := &current{Generation: g, limits: g.Limits.withDefaults()}
	cur.open = !cur.handles(HookConnect)
	cur.defaults = g.DefaultGrants
	switch {
	case cur.defaults != nil:
	case cur.open:
		cur.defaults = openGrants()
	default:
		cur.defaults = DefaultGrants()
	}
	cur.rules = &ruleSet{rules: make([]boundRule, len(g.Rooms))}
	cur.rules.none.set = cur.rules
	for i, r := range g.Rooms {
		if !r.keepsHistory() {
			r.History = Keep{}
		}
		if r.Recover <= 0 || r.Recover > MaxRecover {
			r.Recover = MaxRecover
		}
		cur.rules.rules[i] = boundRule{cur.rules, r}
	}
	return cur, nil
}

func (cur *current) handles(h Hook) bool { return cur.Filters != nil && cur.Filters.Handles(h) }

// grants are what the identity may do.
func (cur *current) grants(id *Identity) *Grants {
	if id.Grants != nil {
		return id.Grants
	}
	return cur.defaults
}

// rule is the first rule that matches the room.
func (s *ruleSet) rule(room string) *boundRule {
	for i := range s.rules {
		if s.rules[i].Match.Match(room) {
			return &s.rules[i]
		}
	}
	return &s.none
}

// withDefaults replaces zeros that do not mean "off".
func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	for _, f := range []struct{ have, def *int }{
		{&l.Frame, &d.Frame},
		{&l.RoomsPerConnection, &d.RoomsPerConnection},
		{&l.Queue, &d.Queue},
		{&l.MalformedFrames, &d.MalformedFrames},
	} {
		if *f.have <= 0 {
			*f.have = *f.def
		}
	}
	if l.HandshakeTimeout <= 0 {
		l.HandshakeTimeout = d.HandshakeTimeout
	}
	if l.WriteTimeout <= 0 {
		l.WriteTimeout = d.WriteTimeout
	}
	if l.PingInterval <= 0 {
		l.PingInterval = d.PingInterval
	}
	if l.PongTimeout <= 0 {
		l.PongTimeout = d.PongTimeout
	}
	return l
}
