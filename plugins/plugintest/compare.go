package plugintest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"

	"sluice/plugins"
	"sluice/router"
)

// Failure is one thing that is not as a test says.
type Failure struct {
	File   string
	Line   int
	Text   string // one line
	Detail string // more lines, as a diff; may be ""
	Broken bool   // the test could not be run as it stands, whatever it expects
}

func (f *Failure) Error() string {
	text := fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
	if f.Detail != "" {
		text += "\n" + f.Detail
	}
	return text
}

// comparison gathers what is wrong with one event.
type comparison struct {
	file  string
	step  *step
	out   *Outcome
	where string // "event 2 (message)"
	found []*Failure
}

func (c *comparison) fail(key, format string, args ...any) {
	line := c.step.line
	if x := c.step.expect; x != nil {
		line = x.key.Line
		if at := x.lines[key]; at != 0 {
			line = at
		}
	}
	c.found = append(c.found, &Failure{File: c.file, Line: line, Text: c.where + ": " + fmt.Sprintf(format, args...)})
}

func (c *comparison) broken(format string, args ...any) {
	c.found = append(c.found, &Failure{File: c.file, Line: c.step.line, Text: c.where + ": " + fmt.Sprintf(format, args...), Broken: true})
}

// compare holds an event's outcome against what the test says of it.
func compare(file string, n int, st *step, o *Outcome, spec *plugins.Spec) []*Failure {
	c := &comparison{file: file, step: st, out: o, where: fmt.Sprintf("event %d (%s)", n, st.what)}
	switch {
	case o.unexplained:
		c.broken("the filter's lookup was made, and the event does not say what it finds; add lookup: {found: ...}, missed or failed")
		return c.found
	case st.lookup != nil && !o.asked && spec.Lookup == nil:
		c.broken("the event says what a lookup finds, and the filter has none; add lookup: to the filter's keys")
		return c.found
	}
	x := st.expect
	switch {
	case x == nil:
		if o.Failure != "" {
			c.fail("", "the filter failed: %s", o.Failure)
		}
		return c.found
	case x.empty:
		c.fail("", "expect says nothing; the event ends in %s (--update writes it down)", o.summary())
		return c.found
	}
	c.verdict(x)
	if len(c.found) == 0 {
		c.changes(x)
	}
	c.effects(x)
	return c.found
}

// summary is what happened, in a line.
func (o *Outcome) summary() string {
	switch {
	case o.Failure != "":
		return "failure " + o.Failure
	case o.Verdict == "deny" || o.Verdict == "disconnect":
		return fmt.Sprintf("%s %d %q", o.Verdict, o.Code, o.Reason)
	case o.Payload != nil && o.Room != "":
		return o.Verdict + " with another payload and the room " + o.Room
	case o.Payload != nil:
		return o.Verdict + " with another payload"
	case o.Room != "":
		return o.Verdict + " with the room " + o.Room
	}
	return o.Verdict
}

func (c *comparison) verdict(x *expectation) {
	o := c.out
	if o.Verdict != x.verdict {
		c.fail("verdict", "the verdict is %s, want %s", o.summary(), x.verdict)
		return
	}
	if x.failure != nil && *x.failure != o.Failure {
		c.fail("failure", "the failure is %s, want %s", o.Failure, *x.failure)
	}
	if x.code != nil && *x.code != int64(o.Code) {
		c.fail("code", "the code is %d, want %d", o.Code, *x.code)
	}
	if x.reason != nil && *x.reason != o.Reason {
		c.fail("reason", "the reason is %q, want %q", o.Reason, *x.reason)
	}
	if x.retry != nil && *x.retry != o.RetryMS {
		c.fail("retry_ms", "retry_ms is %d, want %d", o.RetryMS, *x.retry)
	}
}

// changes compares what the filter changed of the event. An unsaid payload or
// room is one that stays.
func (c *comparison) changes(x *expectation) {
	o := c.out
	if o.Verdict != verdictContinue && o.Verdict != "allow" {
		return
	}
	if c.step.hook == router.HookMessage {
		c.content(x)
		switch {
		case x.room != nil && *x.room != o.Room && *x.room != c.step.room:
			c.fail("room", "the room is %q, want %q", orElse(o.Room, c.step.room), *x.room)
		case x.room == nil && o.Room != "":
			c.fail("room", "the message is rerouted to %q, and expect says nothing of it; add room:", o.Room)
		}
	}
	if x.user != nil && *x.user != o.User {
		c.fail("user", "the user is %q, want %q", o.User, *x.user)
	}
	c.json("claims", x.claims, o.Claims)
	c.json("info", x.info, o.Info)
	c.grants(x.grants)
	if x.expires != nil && *x.expires != o.ExpiresMS {
		c.fail("expires_ms", "expires_ms is %d, want %d", o.ExpiresMS, *x.expires)
	}
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (c *comparison) content(x *expectation) {
	got := c.out.Payload
	if got == nil {
		got = c.step.payload
	}
	switch {
	case x.raw != nil && !bytes.Equal(*x.raw, got):
		c.fail("raw", "the content is not, byte for byte, what it should be")
		c.detail(shown(*x.raw), shown(got))
	case x.payload != nil && !sameJSON(*x.payload, got):
		c.fail("payload", "the content is not what it should be")
		c.detail(indented(*x.payload), indented(got))
	case x.raw == nil && x.payload == nil && c.out.Payload != nil:
		c.fail("payload", "the content was rewritten, and expect says nothing of it; add payload:")
		c.detail(indented(c.step.payload), indented(got))
	}
}

func (c *comparison) json(key string, want *[]byte, got []byte) {
	if want == nil || len(*want) == 0 && len(got) == 0 || len(*want) > 0 && len(got) > 0 && sameJSON(*want, got) {
		return
	}
	c.fail(key, "the %s differ", key)
	c.detail(indentedOrNone(*want), indentedOrNone(got))
}

// grants are compared by what they allow, in order.
func (c *comparison) grants(want *[]byte) {
	if want == nil {
		return
	}
	canonical := *want
	if len(canonical) > 0 {
		g, err := router.ParseGrants(canonical, c.out.User)
		if err != nil {
			c.broken("expect.grants: %v", err)
			return
		}
		canonical, _ = g.MarshalJSON() // of nothing but text
	}
	c.json("grants", &canonical, c.out.Grants)
}

// effects compares what an event leaves behind, whatever its verdict.
func (c *comparison) effects(x *expectation) {
	o := c.out
	if s := x.state; s != nil {
		if !bytes.Equal(s.data, o.State) {
			c.fail("state", "the state is %s, want %s", stateText(o.State), stateText(s.data))
		} else if s.version != nil && *s.version != o.Version {
			c.fail("state", "the state's version is %d, want %d", o.Version, *s.version)
		}
	}
	if x.log != nil && !sameLines(*x.log, o.lines) {
		c.fail("log", "the lines logged differ")
		c.detail(logText(*x.log, *x.log), logText(o.lines, *x.log))
	}
	if x.fuel != nil && o.Fuel > *x.fuel {
		c.fail("fuel", "it took %d units of fuel; the ceiling is %d", o.Fuel, *x.fuel)
	}
}

func sameLines(want, got []logLine) bool {
	if len(want) != len(got) {
		return false
	}
	for i, w := range want {
		if w.text != got[i].text || w.level != "" && w.level != got[i].level {
			return false
		}
	}
	return true
}

// logText shows lines, with their levels if the test names any.
func logText(lines, want []logLine) []byte {
	levels := false
	for _, l := range want {
		levels = levels || l.level != ""
	}
	var out bytes.Buffer
	for _, l := range lines {
		if levels {
			out.WriteString(orElse(l.level, "any level") + ": ")
		}
		out.WriteString(l.text + "\n")
	}
	return out.Bytes()
}

func stateText(b []byte) string {
	switch {
	case len(b) == 0:
		return "none"
	case printable(b):
		return strconv.Quote(string(b))
	}
	return "hex " + hex.EncodeToString(b)
}

func printable(b []byte) bool {
	return utf8.Valid(b) && !strings.ContainsFunc(string(b), func(r rune) bool { return r < ' ' || r == 0x7f })
}

func indentedOrNone(b []byte) []byte {
	if len(b) == 0 {
		return []byte("(none)\n")
	}
	return indented(b)
}

// shown is bytes for a comparison by eye: text is broken into short lines.
func shown(b []byte) []byte {
	text := string(b)
	if !printable(b) {
		text = strconv.Quote(text)
	}
	var out bytes.Buffer
	for len(text) > 100 {
		out.WriteString(text[:100] + "\n")
		text = text[100:]
	}
	return append(out.Bytes(), text+"\n"...)
}

// Bounds of a diff that is shown.
const (
	maxDiffLines = 60
	maxDiffLine  = 200
	maxDiffed    = 1 << 20
)

// detail adds the diff of two texts to the latest failure.
func (c *comparison) detail(want, got []byte) {
	if len(want) > maxDiffed || len(got) > maxDiffed {
		c.found[len(c.found)-1].Detail = fmt.Sprintf("(%d bytes wanted, %d found: too long to be shown)", len(want), len(got))
		return
	}
	text := string(diff.Diff("want", want, "got", got))
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > 0 && strings.HasPrefix(lines[0], "diff ") {
		lines = lines[1:]
	}
	for i, l := range lines {
		if len(l) > maxDiffLine {
			lines[i] = strings.ToValidUTF8(l[:maxDiffLine], "") + "…"
		}
	}
	if more := len(lines) - maxDiffLines; more > 0 {
		lines = append(lines[:maxDiffLines], fmt.Sprintf("(and %d lines more)", more))
	}
	c.found[len(c.found)-1].Detail = strings.Join(lines, "\n")
}
