package plugintest

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sluice/plugins"
	"sluice/plugins/lookup"
	"sluice/router"
	"sluice/router/wire"
)

// generator makes events as a node can produce them, and preferably such as a
// filter does not expect.
type generator struct {
	r      *rand.Rand
	spec   *plugins.Spec
	seeds  []*Input
	states bool // also states that the filter has not written: an older version may have
}

func (g *generator) chance(percent int) bool { return g.r.IntN(100) < percent }

func pick[T any](g *generator, from []T) T { return from[g.r.IntN(len(from))] }

var oddStrings = []string{
	"", " ", "a", "\u0000", "\"", "\\", "\n", "\t", "é", "☃", "😀", "e\u0301", "\u202e", "\ufeff", "\u2028", "null", "true", "0", "-1", "{}", "[]",
	"${user}", "%s%n", "../../etc/passwd", "'; DROP TABLE users; --", "<script>", "\uffff", "a:b:c", "**", "chat:1",
}

var oddNumbers = []string{
	"0", "-0", "1", "-1", "0.5", "1e3", "1E-7", "255", "256", "65535", "65536", "2147483647", "2147483648", "-2147483648", "4294967295",
	"4294967296", "9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551615", "1e308", "1e400",
	"-1e-400", "0.1e1", "3.141592653589793238462643383279", "123456789012345678901234567890",
}

var oddEscapes = []string{`"\u0000"`, `"\ud800"`, `"\udc00x"`, `"\ud83d\ude00"`, `"\/\b\f"`, `"\u00e9"`, `" \u2028 "`}

// value is a JSON value.
func (g *generator) value(depth int) string {
	switch n := g.r.IntN(10); {
	case n < 3 && depth > 0:
		var parts []string
		for range g.r.IntN(5) {
			parts = append(parts, g.quoted()+g.space()+":"+g.space()+g.value(depth-1))
		}
		return "{" + g.space() + strings.Join(parts, g.space()+",") + g.space() + "}"
	case n < 5 && depth > 0:
		var parts []string
		for range g.r.IntN(6) {
			parts = append(parts, g.value(depth-1))
		}
		return "[" + strings.Join(parts, ","+g.space()) + g.space() + "]"
	case n < 6:
		return pick(g, oddNumbers)
	case n < 7:
		return pick(g, []string{"null", "true", "false"})
	case n < 8:
		return pick(g, oddEscapes)
	}
	return g.quoted()
}

func (g *generator) space() string {
	if g.chance(85) {
		return ""
	}
	return pick(g, []string{" ", "\n", "\t", "\r\n", "    "})
}

func (g *generator) quoted() string {
	var out bytes.Buffer
	appendJSONString(&out, g.text())
	return out.String()
}

func (g *generator) text() string {
	s := pick(g, oddStrings)
	switch n := g.r.IntN(20); {
	case n < 5:
		s += pick(g, oddStrings)
	case n < 7:
		s = strings.Repeat(orElse(s, "x"), 1+g.r.IntN(300))
	case n == 7:
		s = strings.Repeat(orElse(s, "x"), 1+g.r.IntN(4000))
	case n < 12 && len(g.seeds) > 0: // a piece of what the filter looks for, maybe
		p := pick(g, g.seeds).Event.Payload
		if len(p) > 2 {
			at := g.r.IntN(len(p))
			s = strings.ToValidUTF8(string(p[at:at+g.r.IntN(min(64, len(p)-at)+1)]), "?")
		}
	}
	return s
}

// content is the payload of a message: a mutation of a seed, or anything.
func (g *generator) content(seed []byte) []byte {
	switch n := g.r.IntN(20); {
	case n < 9 && len(seed) > 0:
		if b := g.mutate(seed); wire.CheckJSON(b) == "" {
			return b
		}
	case n == 9: // deep
		d := 1 + g.r.IntN(200)
		for _, nest := range [][2]string{{"[", "]"}, {`{"a":`, "}"}} {
			if b := []byte(strings.Repeat(nest[0], d) + "1" + strings.Repeat(nest[1], d)); g.chance(50) && wire.CheckJSON(b) == "" {
				return b
			}
		}
	case n == 10: // long
		return []byte(`"` + strings.Repeat(pick(g, []string{"x", "é", `\n`, `\u0041`}), g.r.IntN(40_000)) + `"`)
	case n == 11: // wide
		return []byte("[" + strings.Repeat("1,", g.r.IntN(5000)) + "1]")
	}
	return []byte(g.value(5))
}

// mutate changes some bytes.
func (g *generator) mutate(b []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + g.r.IntN(4) {
		if len(b) == 0 {
			return b
		}
		at := g.r.IntN(len(b))
		end := at + g.r.IntN(min(16, len(b)-at)+1)
		switch g.r.IntN(4) {
		case 0:
			b[at] = byte(32 + g.r.IntN(95))
		case 1:
			b = slices.Delete(b, at, end)
		case 2:
			b = slices.Insert(b, at, b[at:end]...)
		case 3:
			b = slices.Insert(b, at, []byte(pick(g, oddStrings))...)
		}
	}
	return b
}

// name is a room or a user.
func (g *generator) name(usual string) string {
	if g.chance(60) && usual != "" {
		return usual
	}
	s := pick(g, []string{"a", "chat:1", "a:b:c:d", ":", "**", "é☃😀", "${user}", " ", strings.Repeat("x", wire.MaxName), strings.Repeat("é", wire.MaxName/2)})
	if len(g.spec.Rooms) > 0 && g.chance(50) {
		s = strings.ReplaceAll(strings.ReplaceAll(pick(g, g.spec.Rooms), "**", "x:y"), "*", "x")
	}
	if wire.CheckName([]byte(s)) != "" {
		return "x"
	}
	return s
}

// event is one input: a seed in disguise.
func (g *generator) event() *Input {
	seed := pick(g, g.seeds)
	in := &Input{Event: seed.Event, Lookup: seed.Lookup}
	e := &in.Event
	e.Verdict, e.Scratch, e.States = router.Verdict{}, nil, nil
	e.Conn = uint64(1 + g.r.IntN(3))
	if g.chance(20) {
		e.User = g.name(e.User)
	}
	if g.chance(20) && e.Hook != router.HookConnect {
		e.Claims = []byte(`{"roles":` + g.value(3) + `,` + g.quoted() + `:` + g.value(2) + `}`)
	}
	if g.chance(5) {
		e.Remote = pick(g, []string{"", "192.0.2.255", "2001:db8::1", "::", "fe80::1%eth0"})
	}
	switch e.Hook {
	case router.HookMessage:
		g.message(e)
	case router.HookConnect:
		g.connect(e)
	case router.HookJoin, router.HookLeave:
		e.Room = g.name(e.Room)
	case router.HookDisconnect:
		e.Cause = pick(g, []uint32{1000, 1001, 1006, 1009, 4000, 4008, 4999})
	}
	if g.spec.Lookup != nil {
		in.Lookup = g.answer(in.Lookup)
	}
	return in
}

func (g *generator) message(e *router.Event) {
	e.Payload = g.content(e.Payload)
	e.FromServer = g.chance(3)
	switch g.r.IntN(10) {
	case 0:
		e.Kind, e.Room, e.Target = router.KindBroadcast, "", ""
	case 1:
		e.Kind, e.Room, e.Target = router.KindDirect, "", g.name("bob")
	default:
		e.Kind, e.Room, e.Target = router.KindRoom, g.name(orElse(e.Room, defaultRoom)), ""
	}
}

func (g *generator) connect(e *router.Event) {
	if e.Kind == router.KindRefresh || g.chance(20) {
		e.Kind, e.Request = router.KindRefresh, nil
		if e.Payload = g.mutate(e.Payload); len(e.Payload) == 0 || g.chance(30) {
			e.Payload = []byte(g.text())
		}
		return
	}
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/ws"}, Host: "localhost", Header: make(http.Header)}
	if old := e.Request; old != nil {
		r.URL.Path, r.URL.RawQuery, r.Host, r.Header = old.URL.Path, old.URL.RawQuery, old.Host, old.Header.Clone()
	}
	if g.chance(30) {
		r.URL.Path = "/" + g.text()
	}
	query := r.URL.Query()
	for _, name := range g.spec.Query {
		query[name] = g.values(query[name])
	}
	r.URL.RawQuery = query.Encode()
	for _, name := range g.spec.Headers {
		name = http.CanonicalHeaderKey(name)
		r.Header[name] = g.values(r.Header[name])
	}
	for _, name := range g.spec.Cookies {
		if g.chance(40) {
			r.AddCookie(&http.Cookie{Name: name, Value: url.QueryEscape(g.text())})
		}
	}
	e.Request = r
}

// values are those of a header or query field: some, none, odd ones, many.
func (g *generator) values(old []string) []string {
	switch n := g.r.IntN(10); {
	case n < 3:
		return old
	case n == 3:
		return nil
	case n == 4:
		return []string{g.text(), g.text(), g.text()}
	case n < 8 && len(old) > 0:
		return []string{strings.ToValidUTF8(string(g.mutate([]byte(old[0]))), "?")}
	}
	return []string{g.text()}
}

func (g *generator) answer(old *lookup.Result) *lookup.Result {
	switch n := g.r.IntN(10); {
	case n < 2 && old != nil:
		return old
	case n == 2:
		return &lookup.Result{Status: lookup.Missed}
	case n == 3:
		return failedLookup("unreachable")
	case n < 6 && g.spec.Lookup.Format == "bytes":
		return &lookup.Result{Status: lookup.Found, Value: []byte(g.text())}
	case n < 8 && old != nil && len(old.Value) > 0:
		if b := g.mutate(old.Value); wire.CheckJSON(b) == "" {
			return &lookup.Result{Status: lookup.Found, Value: b}
		}
	}
	return &lookup.Result{Status: lookup.Found, Value: []byte(g.value(3))}
}

// state is something that an older version of the filter may have kept.
func (g *generator) state(most int) []byte {
	n := pick(g, []int{0, 1, 3, 4, 5, 8, 16, 17, 64, most})
	b := make([]byte, min(n, most))
	fill := byte(g.r.IntN(256))
	for i := range b {
		if b[i] = fill; g.chance(50) {
			b[i] = byte(g.r.IntN(256))
		}
	}
	return b
}

// config is a configuration near the one that is there, or near what the schema
// describes.
func (g *generator) config(base json.RawMessage, schema []byte) json.RawMessage {
	if len(schema) > 0 && g.chance(60) {
		if v, err := parseJSON(schema); err == nil {
			s := schemaGenerator{g: g, root: v}
			if b := []byte(s.value(v, 6)); wire.CheckJSON(b) == "" {
				return b
			}
		}
	}
	if len(base) > 0 && g.chance(60) {
		if b := g.mutate(base); wire.CheckJSON(b) == "" {
			return b
		}
	}
	return json.RawMessage(g.value(3))
}
