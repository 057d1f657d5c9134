package capture

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Report is what a replay found.
type Report struct {
	Filter    string `json:"filter"`
	Old       string `json:"old"` // SHA-256
	New       string `json:"new"`
	Questions int    `json:"questions"`
	Differ    int    `json:"differ"` // questions that the two answer differently

	// Fields counts the questions in which each of verdict, code, retry_ms,
	// reason, payload, room, state, user, claims, grants and expires_ms differs.
	Fields map[string]int `json:"fields"`

	// Verdicts counts the questions by what the two said.
	Verdicts []Pair `json:"verdicts"`

	// OldDiverged and NewDiverged count the questions in which a module asked the
	// host what the recorded one did not.
	OldDiverged int `json:"old_diverged"`
	NewDiverged int `json:"new_diverged"`

	// Incomplete counts the questions of which something was taken out, or not
	// recorded for its size.
	Incomplete int `json:"incomplete"`

	// Reproduced counts the questions that Old answers as was recorded. Of the
	// others, Excused are incomplete.
	Reproduced int  `json:"reproduced"`
	Excused    int  `json:"excused"`
	Recorded   bool `json:"recorded"` // Old is the module that was recorded, for all questions

	Dropped uint64       `json:"dropped"` // events that the node did not record for want of room
	Cut     bool         `json:"cut"`     // the capture ends in the middle
	First   []Difference `json:"first"`

	show int // at most so many in First
}

// Pair is how often two verdicts met.
type Pair struct {
	Old   string `json:"old"`
	New   string `json:"new"`
	Count int    `json:"count"`
}

// Difference is one question that is answered differently. It quotes no content.
type Difference struct {
	Question uint64   `json:"question"` // from 1
	Hook     string   `json:"hook"`
	Room     string   `json:"room,omitempty"`
	Conn     uint64   `json:"conn,omitempty"`
	Seq      uint64   `json:"seq,omitempty"`
	Old      string   `json:"old"`
	New      string   `json:"new"`
	Fields   []string `json:"fields"`
	Details  []string `json:"details,omitempty"`  // a line for some of the fields
	Diverged bool     `json:"diverged,omitempty"` // one of the two asked the host what is not recorded
	Removed  []string `json:"removed,omitempty"`  // what the question lacks
}

func newReport(p *replay) *Report {
	return &Report{
		Filter: p.options.Filter, Old: p.old.digest, New: p.new.digest, Fields: make(map[string]int), Recorded: true,
		show: p.options.Show,
	}
}

// add counts one question.
func (r *Report) add(number uint64, source *Source, e *Event, a *Asked, then, old, new said) {
	incomplete := len(e.Removed) > 0 || a.Cut
	if incomplete {
		r.Incomplete++
	}
	r.Recorded = r.Recorded && source.SHA256 == r.Old
	switch {
	case len(fields(a, e, &then, &old)) == 0:
		r.Reproduced++
	case incomplete:
		r.Excused++
	}
	if old.diverged {
		r.OldDiverged++
	}
	if new.diverged {
		r.NewDiverged++
	}
	r.pair(old.word(), new.word())
	differ := fields(a, e, &old, &new)
	if len(differ) == 0 {
		return
	}
	r.Differ++
	for _, f := range differ {
		r.Fields[f]++
	}
	if len(r.First) >= r.show {
		return
	}
	d := Difference{
		Question: number, Hook: e.Hook, Room: string(orText(a.Room, Text(e.Room))), Conn: e.Conn, Seq: e.Seq,
		Old: old.word(), New: new.word(), Fields: differ, Diverged: old.diverged || new.diverged, Removed: e.Removed,
	}
	if slices.Contains(differ, "payload") {
		input := orText(a.Payload, e.Payload)
		d.Details = append(d.Details, "payload: "+describe(orText(old.Payload, input), orText(new.Payload, input)))
	}
	if slices.Contains(differ, "state") {
		d.Details = append(d.Details, fmt.Sprintf("state: %d bytes, now %d", len(orText(old.State, a.State)), len(orText(new.State, a.State))))
	}
	r.First = append(r.First, d)
}

func (r *Report) pair(old, new string) {
	for i := range r.Verdicts {
		if p := &r.Verdicts[i]; p.Old == old && p.New == new {
			p.Count++
			return
		}
	}
	r.Verdicts = append(r.Verdicts, Pair{old, new, 1})
}

// WriteText prints the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var out strings.Builder
	fmt.Fprintf(&out, "filter %s: %s, %s\n", r.Filter, plural(r.Questions, "question"), r.outcome())
	fmt.Fprintf(&out, "  old %.12s, new %.12s\n", r.Old, r.New)
	rows := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	pairs := slices.Clone(r.Verdicts)
	slices.SortStableFunc(pairs, func(a, b Pair) int { return b.Count - a.Count })
	for _, p := range pairs {
		mark := " "
		if p.Old != p.New {
			mark = "*"
		}
		fmt.Fprintf(rows, "  %s %d\t%s\t-> %s\n", mark, p.Count, p.Old, p.New)
	}
	_ = rows.Flush()
	if len(r.Fields) > 0 {
		var parts []string
		for _, name := range []string{"verdict", "code", "retry_ms", "reason", "payload", "room", "state", "user", "claims", "grants", "expires_ms"} {
			if n := r.Fields[name]; n > 0 {
				parts = append(parts, fmt.Sprintf("%s %d", name, n))
			}
		}
		fmt.Fprintf(&out, "  differ in: %s\n", strings.Join(parts, ", "))
	}
	for i := range r.First {
		r.First[i].write(&out)
	}
	if more := r.Differ - len(r.First); more > 0 && len(r.First) > 0 {
		fmt.Fprintf(&out, "  and %d more\n", more)
	}
	r.notes(&out)
	_, err := io.WriteString(w, out.String())
	return err
}

func (r *Report) outcome() string {
	if r.Differ == 0 {
		return "no difference"
	}
	return plural(r.Differ, "difference")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (d *Difference) write(out *strings.Builder) {
	fmt.Fprintf(out, "  #%d %s", d.Question, d.Hook)
	if d.Room != "" {
		fmt.Fprintf(out, " in %q", d.Room)
	}
	if d.Conn != 0 {
		fmt.Fprintf(out, ", connection %x event %d", d.Conn, d.Seq)
	}
	fmt.Fprintf(out, ": %s -> %s (%s)\n", d.Old, d.New, strings.Join(d.Fields, ", "))
	for _, line := range d.Details {
		fmt.Fprintf(out, "      %s\n", line)
	}
	if d.Diverged {
		fmt.Fprintf(out, "      one of the two asked the host what was not recorded\n")
	}
	if len(d.Removed) > 0 {
		fmt.Fprintf(out, "      the capture lacks: %s\n", strings.Join(d.Removed, ", "))
	}
}

// notes says how far the replay can be relied on.
func (r *Report) notes(out *strings.Builder) {
	note := func(n int, text string) {
		if n > 0 {
			fmt.Fprintf(out, "  note: %s %s\n", plural(n, "question"), text)
		}
	}
	note(r.OldDiverged, "in which the old module asked the host what was not recorded, and got a stand-in")
	note(r.NewDiverged, "in which the new module asked the host what was not recorded, and got a stand-in")
	note(r.Incomplete, "of which something was removed or too large to be recorded")
	lost := r.Questions - r.Reproduced - r.Excused
	if r.Recorded {
		note(lost, "that the recorded module now answers otherwise than it did: it failed for want of time, has other settings, or keeps things in its memory")
	}
	note(r.Excused, "that the old module answers otherwise than was recorded, for what was removed")
	if r.Dropped > 0 {
		fmt.Fprintf(out, "  note: %d events were not recorded, for want of room\n", r.Dropped)
	}
	if r.Cut {
		fmt.Fprintf(out, "  note: the capture ends in the middle: the node was stopped by force, or its disk is full\n")
	}
}
