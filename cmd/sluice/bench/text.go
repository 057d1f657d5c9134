package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// WriteText writes a report for people: of the median, and of each figure the
// least and the greatest value, if there were several runs.
func WriteText(w io.Writer, runs []*Result, median *Result) error {
	runs = whole(runs)
	t := &textReport{Result: median, several: len(runs) > 1, spreads: spreads(runs)}
	t.head()
	t.connects()
	if t.isLoad() && t.Published > 0 {
		t.deliveries()
	}
	t.processes()
	t.faults()
	_, err := io.WriteString(w, t.b.String())
	return err
}

type textReport struct {
	*Result
	b       strings.Builder
	several bool
	spreads map[string]spread
}

func (t *textReport) line(name, format string, args ...any) {
	fmt.Fprintf(&t.b, "  %-11s %s\n", name, fmt.Sprintf(format, args...))
}

// figure is a figure with its spread.
func (t *textReport) figure(path string, v float64, show func(float64) string) string {
	s := t.spreads[path]
	if !t.several || s.low == s.high {
		return show(v)
	}
	return fmt.Sprintf("%s (%s..%s)", show(v), show(s.low), show(s.high))
}

func (t *textReport) isLoad() bool {
	return t.Scenario == string(Fanout) || t.Scenario == string(Rooms)
}

func (t *textReport) head() {
	if t.Label != "" {
		fmt.Fprintf(&t.b, "%s: ", t.Label)
	}
	fmt.Fprintf(&t.b, "%s on %s", t.Scenario, t.URL)
	if t.Version != "" {
		fmt.Fprintf(&t.b, " (version %s)", t.Version)
	}
	fmt.Fprintf(&t.b, ": %s connections, %s %s", grouped(int64(t.Connections)), grouped(int64(t.Rooms)), plural(t.Rooms, "room", "rooms"))
	switch {
	case t.isLoad() && t.Window > 0:
		fmt.Fprintf(&t.b, ", up to %d publishes of %d B under way", t.Window, t.Size)
	case t.isLoad():
		fmt.Fprintf(&t.b, ", %s publishes/s of %d B", number(t.Rate), t.Size)
	}
	if t.Slow > 0 {
		fmt.Fprintf(&t.b, ", %d members never read", t.Slow)
	}
	switch {
	case t.Compressed > 0:
		t.b.WriteString(", compressed")
	case t.offered && t.Result.Connect.Joined > 0:
		t.b.WriteString(", not compressed, for the server does not agree to it")
	}
	if t.Seconds > 0 && t.Scenario != string(Connect) {
		fmt.Fprintf(&t.b, "; measured for %s s", number(t.Seconds))
	}
	if t.several {
		fmt.Fprintf(&t.b, "; median of %d runs (least..greatest)", t.Repeat)
	}
	t.b.WriteByte('\n')
	if t.Interrupted {
		if t.several {
			t.b.WriteString("  interrupted: the last run is not among these\n")
			return
		}
		t.b.WriteString("  interrupted: what follows is what was measured until then\n")
	}
}

func (t *textReport) connects() {
	c := t.Result.Connect
	if c.Joined == 0 {
		t.line("connected", "0 of %s", grouped(int64(t.Connections)))
		return
	}
	t.line("connected", "%s of %s in %s s: %s/s, p50 %s, p99 %s", grouped(int64(c.Joined)), grouped(int64(t.Connections)), number(c.Seconds),
		t.figure("connect.per_second", c.PerSecond, number), t.figure("connect.p50_us", c.P50, inTime), t.figure("connect.p99_us", c.P99, inTime))
}

func (t *textReport) deliveries() {
	t.line("published", "%s, %s/s%s", grouped(t.Published), t.figure("publishes_per_second", t.PublishesPerSecond, number), t.lateness())
	t.line("delivered", "%s of %s, %s/s", grouped(t.Delivered), grouped(t.Expected), t.figure("deliveries_per_second", t.DeliveriesPerSecond, number))
	l := t.Latency
	t.line("latency", "p50 %s · p90 %s · p99 %s · p99.9 %s · max %s", t.figure("latency_us.p50", l.P50, inTime), t.figure("latency_us.p90", l.P90, inTime),
		t.figure("latency_us.p99", l.P99, inTime), t.figure("latency_us.p999", l.P999, inTime), t.figure("latency_us.max", l.Max, inTime))
	lost := fmt.Sprintf("%s of %s; duplicated %s; out of order %s", grouped(t.Lost), grouped(t.Expected), grouped(t.Duplicated), grouped(t.Disordered))
	if t.Misdelivered > 0 {
		lost += fmt.Sprintf("; delivered to the wrong room, or never sent: %s", grouped(t.Misdelivered))
	}
	if t.several {
		lost += " (of all runs together, held against the median)"
	}
	t.line("lost", "%s", lost)
}

func (t *textReport) lateness() string {
	if t.Window > 0 {
		return ""
	}
	return ", late by " + t.figure("late_us.p99", t.Late.P99, inTime) + " at p99"
}

func (t *textReport) processes() {
	if t.Result.Connect.Joined == 0 {
		return // there are no figures of anything
	}
	for _, name := range t.order {
		p := t.Processes[name]
		at := "processes." + name + "."
		var parts []string
		switch {
		case t.isLoad() && p.CPUSeconds > 0:
			parts = append(parts,
				t.figure(at+"cpu_us_per_delivery", p.PerDelivery, number)+" µs CPU a delivery",
				t.figure(at+"cpu_us_per_publish", p.PerPublish, number)+" µs a publish")
		case t.Scenario == string(Idle):
			parts = append(parts, t.figure(at+"idle_cpu_us_per_connection_second", p.IdleCPU, number)+" µs CPU a connection and second")
		}
		parts = append(parts, t.figure(at+"cpu_us_per_connection", p.PerConnection, number)+" µs CPU to connect and join",
			t.figure(at+"rss_bytes", float64(p.RSS), inBytes)+" RSS")
		if !t.isLoad() && p.RSSPer > 0 {
			parts = append(parts, t.figure(at+"rss_bytes_per_connection", p.RSSPer, inBytes)+" more of it a connection")
		}
		t.line(name, "%s; %s%% of a core", strings.Join(parts, ", "), t.figure(at+"cpu_percent", p.CPUPercent, number))
	}
	if t.Seconds > 0 {
		t.line("this client", "%s%% of a core; everything else %s%%; the machine has %d cores",
			t.figure("client.cpu_percent", t.Client.CPUPercent, number), t.figure("other_cpu_percent", t.Other, number), t.cores)
	}
	if limit := t.limit(); limit != "" {
		t.line("limited by", "%s", limit)
	}
}

// limit says what kept the figures from being better, as far as it shows.
func (t *textReport) limit() string {
	const busy = 90.0 // percent of a processor
	if !t.isLoad() || t.Seconds <= 0 {
		return ""
	}
	all := t.Client.CPUPercent + t.Other
	for _, p := range t.Processes {
		all += p.CPUPercent
	}
	switch {
	case t.Window == 0 && t.PublishesPerSecond >= 0.99*t.Rate && t.Late.P99 < 10_000:
		return "the rate asked for, which was kept; --window finds out how much is possible"
	case t.Client.CPUPercent >= busy:
		return "this client, whose one thread was busy: the server can do more. Use fewer connections, or a client on each of several machines"
	case all >= busy*float64(t.cores):
		return "the machine, all of whose cores were busy with the server, this client and everything else"
	case t.Window == 0:
		return "the server or the way to it: the rate asked for was not kept"
	}
	return "--window, or the server: nothing was busy all the time; a larger window shows which"
}

// faults tells what went wrong, and what can be done.
func (t *textReport) faults() {
	t.causes("refused", t.Refused, true)
	t.causes("closed", t.Closed, true)
	t.causes("gap", t.Gaps, true)
	t.causes("slow closed", t.SlowClosed, false)
}

func (t *textReport) causes(what string, counts map[string]int64, advise bool) {
	for _, cause := range slices.Sorted(maps.Keys(counts)) {
		text := fmt.Sprintf("%s × %s", grouped(counts[cause]), cause)
		if reason := t.Reasons[cause]; reason != "" {
			text += ": " + reason
		}
		t.line(what, "%s", text)
		if hint := advice(cause); hint != "" && advise {
			t.line("", "→ %s", hint)
		}
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// grouped writes a whole number with commas between thousands.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// number writes a number with three significant digits, or all before the point.
func number(v float64) string {
	switch a := max(v, -v); {
	case a >= 100:
		return grouped(int64(round(v, 0)))
	case a >= 10:
		return strconv.FormatFloat(round(v, 1), 'f', -1, 64)
	}
	return strconv.FormatFloat(round(v, 2), 'f', -1, 64)
}

// inTime writes microseconds in the unit that suits them.
func inTime(us float64) string {
	switch {
	case us >= 1e6:
		return number(us/1e6) + " s"
	case us >= 1e3:
		return number(us/1e3) + " ms"
	}
	return number(us) + " µs"
}

func inBytes(bytes float64) string {
	switch a := max(bytes, -bytes); {
	case a >= 1<<30:
		return number(bytes/(1<<30)) + " GiB"
	case a >= 1<<20:
		return number(bytes/(1<<20)) + " MiB"
	case a >= 1<<10:
		return number(bytes/(1<<10)) + " KiB"
	}
	return number(bytes) + " B"
}
