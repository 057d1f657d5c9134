package plugintest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"sluice/plugins"
	"sluice/plugins/lookup"
	"sluice/router"
	"sluice/router/wire"
)

// minimiser makes a list of events that shows a fault smaller, as far as its
// tries go.
type minimiser struct {
	f      *fuzzer
	ctx    context.Context
	config json.RawMessage
	cause  plugins.Cause
	tries  int
	inputs []*Input
}

// shows reports whether the last of the events still fails in the same way.
func (m *minimiser) shows(inputs []*Input) bool {
	if m.tries--; m.tries < 0 || len(inputs) == 0 || m.ctx.Err() != nil {
		return false
	}
	p, err := m.f.play(m.ctx, m.config)
	if err != nil {
		return false
	}
	for i, in := range inputs {
		call, _, err := p.judge(in)
		if err != nil {
			return false
		}
		if call.Failure == m.cause {
			return i == len(inputs)-1
		}
	}
	return false
}

func (m *minimiser) run(inputs []*Input) {
	last := inputs[len(inputs)-1]
	switch {
	case m.shows(inputs[len(inputs)-1:]):
		inputs = []*Input{last}
	default:
		for n := len(inputs) / 2; n > 0; n /= 2 { // leave out runs of events, shorter and shorter ones
			for at := 0; at+n < len(inputs); {
				fewer := slices.Delete(slices.Clone(inputs), at, at+n)
				if m.shows(fewer) {
					inputs = fewer
				} else {
					at += n
				}
			}
		}
	}
	m.inputs = slices.Clone(inputs)
	m.shorten()
	m.plain()
}

// shorten leaves out pieces of the last event's payload.
func (m *minimiser) shorten() {
	last := len(m.inputs) - 1
	payload := m.inputs[last].Event.Payload
	for n := len(payload) / 2; n > 0; n /= 2 {
		for at := 0; at+n <= len(payload); {
			shorter := slices.Delete(bytes.Clone(payload), at, at+n)
			if wire.CheckJSON(shorter) == "" && m.with(func(e *router.Event) { e.Payload = shorter }) {
				payload = shorter
			} else {
				at += n
			}
		}
	}
}

// plain sets what does not matter to what is usual.
func (m *minimiser) plain() {
	for _, change := range []func(e *router.Event){
		func(e *router.Event) { e.States = nil },
		func(e *router.Event) { e.Claims = nil },
		func(e *router.Event) { e.User = defaultUser },
		func(e *router.Event) { e.Remote = defaultRemote },
		func(e *router.Event) { e.FromServer = false },
		func(e *router.Event) { e.Conn = defaultConn },
		func(e *router.Event) {
			if e.Hook == router.HookMessage {
				e.Kind, e.Room, e.Target = router.KindRoom, defaultRoom, ""
			}
		},
	} {
		m.with(change)
	}
}

// with keeps a change of the last event if it still shows the fault.
func (m *minimiser) with(change func(e *router.Event)) bool {
	last := len(m.inputs) - 1
	changed := *m.inputs[last]
	change(&changed.Event)
	inputs := append(slices.Clone(m.inputs[:last]), &changed)
	if !m.shows(inputs) {
		return false
	}
	m.inputs = inputs
	return true
}

// fixture writes the events as a test that fails while they do.
func (f *fuzzer) fixture(config json.RawMessage, inputs []*Input, name string) string {
	test := ymap("name", name)
	filter := ymap()
	if len(config) > 0 {
		add(filter, "config", yjson(config))
	}
	if f.spec.Capabilities != nil {
		add(filter, "capabilities", f.spec.Capabilities)
	}
	add(test, "filter", filter)
	if inputs != nil {
		events := &yaml.Node{Kind: yaml.SequenceNode}
		for _, in := range inputs {
			events.Content = append(events.Content, eventNode(in))
		}
		add(test, "events", events)
	} else {
		add(test, "events", []any{map[string]any{"message": "hello"}})
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(ymap("tests", []any{test})); err != nil {
		return fmt.Sprintf("# it cannot be written: %v\n", err)
	}
	return out.String()
}

// eventNode is an event as a file of fixtures has it.
func eventNode(in *Input) *yaml.Node {
	e := &in.Event
	n := ymap()
	switch e.Hook {
	case router.HookMessage:
		add(n, "raw", rawNode(e.Payload))
		switch e.Kind {
		case router.KindBroadcast:
			add(n, "kind", "broadcast")
		case router.KindDirect:
			add(n, "target", e.Target)
		default:
			add(n, "room", e.Room)
		}
		if e.FromServer {
			add(n, "from_server", true)
		}
	case router.HookConnect:
		if e.Kind == router.KindRefresh {
			add(n, "refresh", rawNode(e.Payload))
		} else {
			add(n, "connect", requestNode(e))
		}
	case router.HookJoin:
		add(n, "join", e.Room)
	case router.HookLeave:
		add(n, "leave", e.Room)
		add(n, "cause", leaveCauses[min(e.Cause, 2)])
	case router.HookDisconnect:
		add(n, "disconnect", e.Cause)
	}
	if e.User != defaultUser {
		add(n, "user", e.User)
	}
	if e.Conn != defaultConn {
		add(n, "conn", e.Conn)
	}
	if len(e.Claims) > 0 {
		add(n, "claims", yjson(e.Claims))
	}
	if e.Remote != defaultRemote {
		add(n, "remote", e.Remote)
	}
	if e.States != nil && len(*e.States) > 0 {
		add(n, "state", map[string]any{"hex": fmt.Sprintf("%x", (*e.States)[0].Data)})
	}
	if l := in.Lookup; l != nil {
		switch l.Status {
		case lookup.Found:
			add(n, "lookup", ymap("raw", rawNode(l.Value)))
		case lookup.Missed:
			add(n, "lookup", "missed")
		case lookup.Failed:
			add(n, "lookup", "failed")
		}
	}
	return n
}

func requestNode(e *router.Event) *yaml.Node {
	r := e.Request
	n := ymap("path", r.URL.Path)
	if len(r.URL.RawQuery) > 0 {
		add(n, "query", map[string][]string(r.URL.Query()))
	}
	headers := map[string][]string{}
	for name, values := range r.Header {
		if name != "Cookie" && len(values) > 0 {
			headers[name] = values
		}
	}
	if len(headers) > 0 {
		add(n, "headers", headers)
	}
	cookies := map[string][]string{}
	for _, c := range r.Cookies() {
		cookies[c.Name] = append(cookies[c.Name], c.Value)
	}
	if len(cookies) > 0 {
		add(n, "cookies", cookies)
	}
	return n
}

// ymap is a mapping with the key and values given in turn.
func ymap(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := 0; i+1 < len(pairs); i += 2 {
		add(n, pairs[i].(string), pairs[i+1])
	}
	return n
}

// add appends a key with a node, or anything that YAML can write.
func add(m *yaml.Node, key string, v any) {
	k := &yaml.Node{}
	k.SetString(key)
	n, ok := v.(*yaml.Node)
	if !ok {
		n = &yaml.Node{}
		if err := n.Encode(v); err != nil {
			n.SetString(fmt.Sprint(v))
		}
	}
	m.Content = append(m.Content, k, n)
}

// yjson is JSON as a YAML node in flow style, as it is written.
func yjson(b []byte) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err == nil && len(doc.Content) == 1 && !bytes.Contains(b, []byte(`\`)) {
		return doc.Content[0]
	}
	v, err := parseJSON(b)
	n := &yaml.Node{}
	if err != nil || n.Encode(plainNumbers(v)) != nil {
		n.SetString(string(b))
	}
	return n
}

// plainNumbers makes numbers nodes that keep their notation.
func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: v.String()}
	case map[string]any:
		for k := range v {
			v[k] = plainNumbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plainNumbers(v[i])
		}
	}
	return v
}

// rawNode is bytes as text, or in base64 where they are none.
func rawNode(b []byte) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(string(b))
	return n
}
