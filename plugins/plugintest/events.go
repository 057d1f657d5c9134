package plugintest

import (
	"encoding/hex"
	"errors"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"sluice/plugins/lookup"
	"sluice/router"
	"sluice/router/wire"
)

// What an event is where the file does not say.
const (
	defaultRoom   = "room"
	defaultUser   = "user"
	defaultRemote = "192.0.2.1"
	defaultConn   = 1
)

// step is one event of a test.
type step struct {
	line    int
	what    string // its key: message, connect, …
	node    *yaml.Node
	hook    router.Hook
	kind    uint32
	payload []byte
	room    string
	target  string
	cause   uint32
	request *http.Request

	// nil: what the connection has.
	user    *string
	claims  *[]byte
	expires *int64
	remote  *string

	conn       uint64
	fromServer bool
	after      time.Duration
	state      *stateValue
	lookup     *lookup.Result

	expect *expectation // nil: nothing is expected
}

// stateValue is what a filter keeps about a connection.
type stateValue struct {
	data    []byte // none: the filter keeps nothing
	version *uint32
}

// subjects are the keys of which each event has one: what happens.
var subjects = []string{"message", "raw", "connect", "refresh", "join", "leave", "disconnect"}

func (d *decoder) step(n *yaml.Node) *step {
	if n = d.enter(n); n == nil {
		return nil
	}
	s := &step{line: n.Line, node: n, conn: defaultConn}
	before := len(d.errs)
	var given []string
	subject := func(name string, hook router.Hook, read func(n *yaml.Node)) field {
		return value(name, func(n *yaml.Node) {
			given = append(given, name)
			s.what, s.hook = name, hook
			read(n)
		})
	}
	var details []string // keys of which not every event has each
	detail := func(name string, read func(n *yaml.Node)) field {
		return value(name, func(n *yaml.Node) {
			details = append(details, name)
			read(n)
		})
	}
	kind := ""
	d.mapping(n, "event",
		subject("message", router.HookMessage, func(n *yaml.Node) { s.payload = d.json(n, "message") }),
		subject("raw", router.HookMessage, func(n *yaml.Node) { s.payload = d.raw(n, "raw") }),
		subject("connect", router.HookConnect, func(n *yaml.Node) { s.request = d.request(n); s.kind = router.KindNew }),
		subject("refresh", router.HookConnect, func(n *yaml.Node) { s.payload = d.raw(n, "refresh"); s.kind = router.KindRefresh }),
		subject("join", router.HookJoin, func(n *yaml.Node) { s.room = d.name(n, "join") }),
		subject("leave", router.HookLeave, func(n *yaml.Node) { s.room = d.name(n, "leave") }),
		subject("disconnect", router.HookDisconnect, func(n *yaml.Node) {
			s.cause = uint32(d.integer(n, "disconnect", 1000, 4999))
		}),
		detail("kind", func(n *yaml.Node) { kind = d.word(n, "kind", "room", "broadcast", "direct") }),
		detail("room", func(n *yaml.Node) { s.room = d.name(n, "room") }),
		detail("target", func(n *yaml.Node) { s.target = d.name(n, "target") }),
		detail("from_server", func(n *yaml.Node) { s.fromServer = d.boolean(n, "from_server") }),
		detail("cause", func(n *yaml.Node) { s.cause = d.leaveCause(n) }),
		value("user", func(n *yaml.Node) { v := d.nameOrNone(n, "user"); s.user = &v }),
		value("conn", func(n *yaml.Node) { s.conn = d.unsigned(n, "conn") }),
		value("claims", func(n *yaml.Node) { v := d.object(n, "claims"); s.claims = &v }),
		value("remote", func(n *yaml.Node) { v := d.text(n, "remote"); s.remote = &v }),
		value("expires_ms", func(n *yaml.Node) { v := d.integer(n, "expires_ms", 0, math.MaxInt64); s.expires = &v }),
		value("after", func(n *yaml.Node) { s.after = d.duration(n, "after") }),
		value("state", func(n *yaml.Node) { s.state = d.state(n, "state") }),
		value("lookup", func(n *yaml.Node) { s.lookup = d.answer(n) }),
		field{"expect", func(key, n *yaml.Node) { s.expect = d.expect(key, n) }})
	if len(d.errs) > before {
		return nil
	}
	if len(given) != 1 {
		d.fail(n, "event: it needs exactly one of %s; it has %s", strings.Join(subjects, ", "), orNone(given))
		return nil
	}
	if problem := s.complete(kind, details); problem != nil {
		d.fail(n, "event: %v", problem)
		return nil
	}
	if s.expect != nil {
		d.suits(s)
	}
	return s
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none of them"
	}
	return strings.Join(words, " and ")
}

// complete fills in the kind and the room, and refuses keys that such an event
// does not have.
func (s *step) complete(kind string, details []string) error {
	allowed := map[router.Hook][]string{
		router.HookMessage: {"kind", "room", "target", "from_server"},
		router.HookLeave:   {"cause"},
	}[s.hook]
	for _, key := range details {
		if !slices.Contains(allowed, key) {
			return errors.New("a " + s.what + " has no " + key)
		}
	}
	if s.hook != router.HookMessage {
		return nil
	}
	has := func(key string) bool { return slices.Contains(details, key) }
	if kind == "" {
		if kind = "room"; has("target") {
			kind = "direct"
		}
	}
	switch {
	case kind != "room" && has("room"):
		return errors.New("a message of kind " + kind + " has no room")
	case kind != "direct" && has("target"):
		return errors.New("a message of kind " + kind + " has no target")
	}
	switch kind {
	case "room":
		if s.kind = router.KindRoom; s.room == "" {
			s.room = defaultRoom
		}
	case "broadcast":
		s.kind = router.KindBroadcast
	case "direct":
		if s.kind = router.KindDirect; s.target == "" {
			return errors.New("a direct message needs a target")
		}
	}
	return nil
}

// name reads the name of a room or user.
func (d *decoder) name(n *yaml.Node, what string) string {
	s, ok := d.scalar(n, what, "text", textTags...)
	if why := wire.CheckName([]byte(s)); ok && why != "" {
		d.fail(n, "%s: the name %s", what, why)
	}
	return s
}

func (d *decoder) nameOrNone(n *yaml.Node, what string) string {
	if m := d.enter(n); m != nil && (isNull(m) || m.Tag == "!!str" && m.Value == "") {
		return ""
	}
	return d.name(n, what)
}

// object reads a JSON object; nothing is none.
func (d *decoder) object(n *yaml.Node, what string) []byte {
	if n = d.enter(n); n == nil || isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		d.fail(n, "%s: expected keys, found %s", what, found(n))
		return nil
	}
	return d.json(n, what)
}

var leaveCauses = []string{"left", "disconnected", "removed"}

func (d *decoder) leaveCause(n *yaml.Node) uint32 {
	if m := d.enter(n); m != nil && m.Tag == "!!int" {
		return uint32(d.integer(n, "cause", 0, 2))
	}
	return uint32(max(0, slices.Index(leaveCauses, d.word(n, "cause", leaveCauses...))))
}

// request makes the upgrade request of a connect.
func (d *decoder) request(n *yaml.Node) *http.Request {
	r := &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: "/ws"}, Host: "localhost", RequestURI: "/ws", Header: make(http.Header),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	query := make(url.Values)
	d.mapping(n, "connect",
		value("path", func(n *yaml.Node) {
			if r.URL.Path = d.text(n, "connect.path"); !strings.HasPrefix(r.URL.Path, "/") {
				d.fail(n, "connect.path: it begins with /")
			}
		}),
		value("host", func(n *yaml.Node) { r.Host = d.text(n, "connect.host") }),
		value("origin", func(n *yaml.Node) { r.Header.Set("Origin", d.text(n, "connect.origin")) }),
		d.multi("headers", func(name, v string) { r.Header.Add(name, v) }),
		d.multi("query", func(name, v string) { query.Add(name, v) }),
		d.multi("cookies", func(name, v string) { r.AddCookie(&http.Cookie{Name: name, Value: v}) }))
	r.URL.RawQuery = query.Encode()
	r.RequestURI = r.URL.RequestURI()
	return r
}

// multi reads names with one value or a list of values each.
func (d *decoder) multi(what string, add func(name, v string)) field {
	return value(what, func(n *yaml.Node) {
		if n = d.enter(n); n == nil || isNull(n) {
			return
		}
		if n.Kind != yaml.MappingNode {
			d.fail(n, "connect.%s: expected keys, found %s", what, found(n))
			return
		}
		d.pairs(n, "connect."+what, func(key, v *yaml.Node) {
			path := "connect." + what + "." + key.Value
			if m := d.enter(v); m != nil && m.Kind == yaml.SequenceNode {
				for _, s := range d.texts(m, path) {
					add(key.Value, s)
				}
				return
			}
			add(key.Value, d.text(v, path))
		})
	})
}

// state reads what a filter keeps: text, or {text or hex, version}; nothing or
// empty text is none.
func (d *decoder) state(n *yaml.Node, what string) *stateValue {
	out := &stateValue{}
	if n = d.enter(n); n == nil || isNull(n) {
		return out
	}
	if n.Kind != yaml.MappingNode {
		out.data = d.raw(n, what)
		return out
	}
	d.mapping(n, what,
		value("text", func(n *yaml.Node) { out.data = d.raw(n, what+".text") }),
		value("hex", func(n *yaml.Node) {
			b, err := hex.DecodeString(strings.ReplaceAll(d.text(n, what+".hex"), " ", ""))
			if err != nil {
				d.fail(n, "%s.hex: it is not pairs of hexadecimal digits in quotes, as in \"01 00 00 00\"", what)
			}
			out.data = b
		}),
		value("version", func(n *yaml.Node) {
			v := uint32(d.integer(n, what+".version", 0, math.MaxUint32))
			out.version = &v
		}))
	return out
}

// answer reads what the lookup of an event finds: missed, failed, {found:
// VALUE}, {raw: bytes} or {failed: CAUSE}.
func (d *decoder) answer(n *yaml.Node) *lookup.Result {
	if n = d.enter(n); n == nil {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		switch d.word(n, "lookup", "missed", "failed") {
		case "missed":
			return &lookup.Result{Status: lookup.Missed}
		default:
			return failedLookup("unreachable")
		}
	}
	out := &lookup.Result{}
	d.mapping(n, "lookup",
		value("found", func(n *yaml.Node) { out.Status, out.Value = lookup.Found, d.json(n, "lookup.found") }),
		value("raw", func(n *yaml.Node) { out.Status, out.Value = lookup.Found, d.raw(n, "lookup.raw") }),
		value("failed", func(n *yaml.Node) {
			out = failedLookup(d.word(n, "lookup.failed", "timeout", "busy", "open", "status", "too_big", "bad_json", "unreachable", "template"))
		}))
	if out.Status == lookup.None {
		d.fail(n, "lookup: it is missed, failed, {found: VALUE}, {raw: TEXT} or {failed: CAUSE}")
	}
	return out
}

func failedLookup(cause string) *lookup.Result {
	return &lookup.Result{Status: lookup.Failed, Cause: cause, Err: errors.New("the test says that it fails")}
}
