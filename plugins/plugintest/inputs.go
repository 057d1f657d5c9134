package plugintest

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sluice/plugins"
	"sluice/plugins/lookup"
	"sluice/router"
)

// Input is an event that Bench and Fuzz judge again and again, with what its
// lookup finds; nil: nothing.
type Input struct {
	Event  router.Event
	Lookup *lookup.Result
}

// Inputs are the filter and the events of files: the filter of the first one,
// and the events of all tests that say nothing of the filter. Without files, or
// if these have no such events, they are Defaults.
func Inputs(files []*File, o Options) (plugins.Spec, []*Input, error) {
	r := &runner{options: o}
	f := &File{}
	if len(files) > 0 {
		f = files[0]
	}
	spec, err := r.spec(f, &Case{})
	if err != nil {
		return spec, nil, err
	}
	var out []*Input
	for _, f := range files {
		for _, c := range f.Tests {
			if c.filter == nil && c.refused == nil {
				out = append(out, c.inputs(f, spec)...)
			}
		}
	}
	if len(out) == 0 {
		out = Defaults()
	}
	return spec, out, nil
}

func (c *Case) inputs(f *File, spec plugins.Spec) (out []*Input) {
	s := &session{spec: spec, conns: make(map[uint64]*connection)}
	now := time.Now()
	if !f.now.IsZero() {
		now = f.now
	}
	if !c.now.IsZero() {
		now = c.now
	}
	for _, st := range c.steps {
		now = now.Add(st.after)
		e, _ := s.prepare(st, now)
		out = append(out, &Input{Event: *e, Lookup: st.lookup})
	}
	return out
}

// Defaults are an event for each hook: messages of 128 bytes and 1 KiB, a
// connect, a join, a leave and a disconnect.
func Defaults() []*Input {
	now := time.Now().UnixNano()
	var out []*Input
	add := func(e router.Event) {
		e.Time, e.Conn, e.Seq, e.User, e.Remote, e.States = now, defaultConn, 1, defaultUser, defaultRemote, new([]router.State)
		out = append(out, &Input{Event: e})
	}
	for _, n := range []int{128, 1024} {
		add(router.Event{Hook: router.HookMessage, Kind: router.KindRoom, Room: defaultRoom, Payload: []byte(`"` + strings.Repeat("x", n-2) + `"`)})
	}
	add(router.Event{Hook: router.HookConnect, Kind: router.KindNew, Request: &http.Request{URL: &url.URL{Path: "/ws"}, Host: "localhost", Header: http.Header{}}})
	add(router.Event{Hook: router.HookJoin, Room: defaultRoom})
	add(router.Event{Hook: router.HookLeave, Room: defaultRoom})
	add(router.Event{Hook: router.HookDisconnect, Cause: 1000})
	return out
}

// handled are the inputs that the chain has a hook for.
func handled(chain *plugins.Chain, inputs []*Input) ([]*Input, error) {
	var out []*Input
	for _, in := range inputs {
		if chain.Handles(in.Event.Hook) {
			own := *in
			out = append(out, &own)
		}
	}
	if out == nil {
		return nil, errors.New("the filter has no hook for any of the events; add events for its hooks to its fixtures")
	}
	return out, nil
}
