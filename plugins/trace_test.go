package plugins

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"sluice/plugins/meter"
	"sluice/router"
)

// recorder is a tracer that remembers.
type recorder struct {
	mu    sync.Mutex
	calls []Call
	lines []string
}

func (r *recorder) Called(c Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, c)
}

func (r *recorder) Logged(filter string, level slog.Level, line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, filter+" "+level.String()+" "+line)
}

// take returns the calls since the last take.
func (r *recorder) take() []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

func (r *recorder) one(t *testing.T) Call {
	t.Helper()
	calls := r.take()
	if len(calls) != 1 {
		t.Fatalf("%d calls were traced: %+v", len(calls), calls)
	}
	return calls[0]
}

func TestATracerIsToldOfTheExactFuelOfEachCall(t *testing.T) {
	var r recorder
	c := newTestHost(t, HostOptions{Tracer: &r}).chain(nil, keeping("keep"))
	fuel := func(times int) int64 {
		o := counter("k", 1, 0)
		o.times = times
		judge(t, c, o.event())
		call := r.one(t)
		if call.Filter != "keep" || call.Hook != router.HookMessage || call.Verdict != vContinue || call.Failure != CauseNone || call.Memory != 4*pageSize {
			t.Errorf("traced %+v", call)
		}
		return call.Fuel
	}
	fuel(1) // asks for a buffer
	one := fuel(1)
	each := fuel(2) - one
	if each < hostCost+keepCost || each > hostCost+keepCost+100 {
		t.Errorf("one more call costs %d", each)
	}
	for _, times := range []int{3, 100, 1001, 1} {
		if got, want := fuel(times), one+int64(times-1)*each; got != want {
			t.Errorf("%d calls (%d slices) cost %d, want %d", times, want/meter.Slice, got, want)
		}
	}
}

func TestATracerIsToldOfFailuresAndOfOnConfigure(t *testing.T) {
	var r recorder
	h := newTestHost(t, HostOptions{Tracer: &r})
	c := h.chain(nil, configured(`{"max": 1}`))
	if call := r.one(t); call.Hook != router.HookConfigure || call.Filter != "configured" || call.Verdict != 0 || call.Failure != CauseNone || call.Fuel <= 0 {
		t.Errorf("on_configure: %+v", call)
	}
	c.Retire()
	if _, err := h.Build(t.Context(), []Spec{guest("refused")}, nil); err == nil {
		t.Fatal("it loads")
	}
	if call := r.one(t); call.Verdict != vDeny || call.Failure != CauseGuest || !strings.HasPrefix(call.Detail, RefusedConfiguration) {
		t.Errorf("a configuration that is refused: %+v", call)
	}
	for _, row := range []struct {
		file   string
		size   int
		cause  Cause
		detail string
	}{
		{"trap", 5000, CauseTrap, "unreachable"}, {"loop_message", 5000, CauseTimeout, errTimeout.Error()}, {"exit", 5000, CauseExit, "proc_exit"},
		{"noop", 100_000, CauseTooBig, "no room"},
	} {
		t.Run(row.file, func(t *testing.T) {
			var r recorder
			c := newTestHost(t, HostOptions{Tracer: &r}).chain(nil, guest(row.file))
			r.take()
			e := message(content(row.size))
			judge(t, c, e)
			call := r.one(t)
			if call.Failure != row.cause || !strings.Contains(call.Detail, row.detail) {
				t.Errorf("traced %+v", call)
			}
			if row.cause == CauseTimeout && call.Fuel < minSlices*meter.Slice {
				t.Errorf("it ran out of time after %d units", call.Fuel)
			}
		})
	}
	var bad recorder
	c = newTestHost(t, HostOptions{Tracer: &bad}).chain(nil, guest("outputs"))
	judge(t, c, eventOf(router.HookMessage, answering(vContinue).put(outPayload, `{"a"`)))
	if call := bad.one(t); call.Failure != CauseJSON || call.Verdict != vContinue || call.Detail == "" {
		t.Errorf("an output that is not what it must be: %+v", call)
	}
	judge(t, c, eventOf(router.HookMessage, answering(77)))
	if call := bad.one(t); call.Failure != CauseVerdict || call.Verdict != 77 {
		t.Errorf("a verdict that is none: %+v", call)
	}
	judge(t, c, eventOf(router.HookMessage, answering(vDeny).u32(outCode, 422)))
	if call := bad.one(t); call.Failure != CauseNone || call.Verdict != vDeny {
		t.Errorf("a denial: %+v", call)
	}
}

func TestATracerSeesEveryLineThatIsLogged(t *testing.T) {
	var r recorder
	spec := guest("capable")
	spec.Capabilities = []string{"log", "now", "random"}
	c := newTestHost(t, HostOptions{Tracer: &r}).chain(nil, spec)
	for range 1000 {
		say(t, c, `1`)
	}
	if len(r.lines) != 1000 || r.lines[999] != "capable WARN hello" {
		t.Errorf("%d of 1000 lines, the last being %q", len(r.lines), r.lines[len(r.lines)-1])
	}
}

func TestGuestsTakeTheirRandomBytesFromWhereTheHostIsTold(t *testing.T) {
	spec := guest("capable")
	spec.Capabilities = []string{"log", "now", "random"}
	source := io.MultiReader(strings.NewReader("sixteen letters.and another set"), iotest.ErrReader(errors.New("the source is dry")))
	h := newTestHost(t, HostOptions{Random: source})
	c := h.chain(nil, spec)
	e := message(`1`)
	judge(t, c, e)
	if got := (*e.States)[0].Data[8:]; !bytes.Equal(got, []byte("sixteen letters.")) {
		t.Errorf("random bytes %q", got)
	}
	if v := say(t, c, `1`); v.Failure != "internal" {
		t.Errorf("without random bytes: %+v", *v)
	}
	h.Close(context.Background())
	if !strings.Contains(h.log.String(), "there are no random bytes: the source is dry") {
		t.Errorf("the log does not say why:\n%s", h.log)
	}
}
