package plugintest

import (
	"math"
	"slices"

	"go.yaml.in/yaml/v3"

	"sluice/plugins"
	"sluice/router"
)

// expectation is what a test says of one event. Pointers are nil where it says
// nothing.
type expectation struct {
	key, node *yaml.Node
	empty     bool           // expect: with nothing behind it
	lines     map[string]int // of its keys

	verdict string
	code    *int64
	reason  *string
	retry   *int64
	failure *string

	payload *[]byte // JSON
	raw     *[]byte // exact
	room    *string

	user    *string
	claims  *[]byte // nil within: none
	grants  *[]byte // nil within: the configured default
	info    *[]byte
	expires *int64

	state *stateValue
	log   *[]logLine
	fuel  *int64
}

// logLine is a line that a filter logs.
type logLine struct {
	level string // "": any
	text  string
}

const (
	verdictContinue = "continue"
	verdictFailure  = "failure"
)

// verdictWords are the words for what becomes of an event, by router.Action,
// then failure.
var verdictWords = []string{
	router.Continue: verdictContinue, router.Allow: "allow", router.Deny: "deny", router.Drop: "drop", router.Disconnect: "disconnect",
	router.Disconnect + 1: verdictFailure,
}

func (d *decoder) expect(key, n *yaml.Node) *expectation {
	x := &expectation{key: key, node: n, verdict: verdictContinue, lines: make(map[string]int)}
	if n = d.enter(n); n == nil {
		return nil
	}
	x.empty = isNull(n)
	said := func(name string, read func(n *yaml.Node)) field {
		return field{name, func(key, n *yaml.Node) {
			x.lines[name] = key.Line
			read(n)
		}}
	}
	number := func(name string, most int64, to **int64) field {
		return said(name, func(n *yaml.Node) { v := d.integer(n, "expect."+name, 0, most); *to = &v })
	}
	value := func(name string, to **[]byte) field {
		return said(name, func(n *yaml.Node) {
			var v []byte
			if m := d.enter(n); m == nil || !isNull(m) {
				v = d.json(n, "expect."+name)
			}
			*to = &v
		})
	}
	text := func(name string, to **string) field {
		return said(name, func(n *yaml.Node) { v := d.text(n, "expect."+name); *to = &v })
	}
	d.mapping(n, "expect",
		said("verdict", func(n *yaml.Node) { x.verdict = d.word(n, "expect.verdict", verdictWords...) }),
		number("code", math.MaxUint32, &x.code), text("reason", &x.reason), number("retry_ms", math.MaxUint32, &x.retry),
		said("failure", func(n *yaml.Node) { v := d.word(n, "expect.failure", plugins.Causes()...); x.failure = &v }),
		said("payload", func(n *yaml.Node) { v := d.json(n, "expect.payload"); x.payload = &v }),
		said("raw", func(n *yaml.Node) { v := d.raw(n, "expect.raw"); x.raw = &v }),
		text("room", &x.room),
		said("user", func(n *yaml.Node) { v := d.nameOrNone(n, "expect.user"); x.user = &v }),
		value("claims", &x.claims), value("grants", &x.grants), value("info", &x.info),
		number("expires_ms", math.MaxInt64, &x.expires),
		said("state", func(n *yaml.Node) { x.state = d.state(n, "expect.state") }),
		said("log", func(n *yaml.Node) { x.log = d.logLines(n) }),
		number("fuel", math.MaxInt64, &x.fuel))
	return x
}

// logLines reads a list of lines; {warn: LINE} also says the level.
func (d *decoder) logLines(n *yaml.Node) *[]logLine {
	lines := []logLine{}
	d.list(n, "expect.log", func(_ int, n *yaml.Node) {
		m := d.enter(n)
		if m == nil || m.Kind != yaml.MappingNode {
			lines = append(lines, logLine{text: d.text(n, "expect.log")})
			return
		}
		var fields []field
		for _, level := range []string{"debug", "info", "warn", "error"} {
			fields = append(fields, value(level, func(n *yaml.Node) {
				lines = append(lines, logLine{level, d.text(n, "expect.log."+level)})
			}))
		}
		d.mapping(m, "expect.log", fields...)
	})
	return &lines
}

// Keys of expect that not every event and verdict has.
var (
	keysOfMessages = []string{"payload", "raw", "room"}
	keysOfConnects = []string{"user", "claims", "grants", "info", "expires_ms"}
	keysOfRefusals = []string{"code", "reason", "retry_ms"}
)

// suits refuses expectations that such an event cannot meet.
func (d *decoder) suits(s *step) {
	x := s.expect
	passes := x.verdict == verdictContinue || x.verdict == "allow"
	refuses := x.verdict == "deny" || x.verdict == "disconnect" || x.verdict == verdictFailure
	for key, line := range x.lines {
		at := &yaml.Node{Line: line}
		switch {
		case slices.Contains(keysOfMessages, key) && s.hook != router.HookMessage:
			d.fail(at, "expect.%s is of messages, and this event is a %s", key, s.what)
		case slices.Contains(keysOfConnects, key) && s.hook != router.HookConnect:
			d.fail(at, "expect.%s is of connect and refresh, and this event is a %s", key, s.what)
		case (slices.Contains(keysOfMessages, key) || slices.Contains(keysOfConnects, key)) && !passes:
			d.fail(at, "expect.%s goes with the verdicts continue and allow, not with %s", key, x.verdict)
		case slices.Contains(keysOfRefusals, key) && !refuses:
			d.fail(at, "expect.%s goes with the verdicts deny and disconnect, not with %s; add verdict: deny", key, x.verdict)
		case key == "failure" && x.verdict != verdictFailure:
			d.fail(at, "expect.failure goes with verdict: failure")
		}
	}
	if x.payload != nil && x.raw != nil {
		d.fail(x.key, "expect: it has payload and raw; payload compares JSON, raw bytes: one of them is enough")
	}
}
