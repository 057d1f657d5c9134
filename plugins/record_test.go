package plugins

import (
	"bytes"
	"slices"
	"sync"
	"testing"

	"sluice/router"
)

// shelf is a recorder that keeps what it is given.
type shelf struct {
	mu      sync.Mutex
	wants   bool
	records []*Record
}

func (s *shelf) Wants(*router.Event) bool { return s.wants }

func (s *shelf) Judged(r *Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, r)
}

// reciter is an oracle with one answer.
type reciter struct {
	shelf
	answer Answer
}

func (r *reciter) Answer(op Op, _ uint32, _ int) (Answer, bool) { return r.answer, op == r.answer.Op }

func recorded(t *testing.T, s *shelf) *Record {
	t.Helper()
	if len(s.records) != 1 {
		t.Fatalf("%d records", len(s.records))
	}
	return s.records[0]
}

func TestARecordHoldsWhatTheHostAnsweredInOrder(t *testing.T) {
	s := &shelf{wants: true}
	h := newTestHost(t, HostOptions{Recorder: s})
	capable := guest("capable")
	capable.Capabilities = []string{"log", "now", "random"}
	c := h.chain(nil, capable)
	e := message(`"x"`)
	judge(t, c, e)
	a := recorded(t, s).Asked[0]
	// The third asks for more random bytes than there are at once.
	if len(a.Host) != 3 || a.Host[0].Op != OpNow || a.Host[1].Op != OpRandom || a.Host[2].Op != OpRandom || a.Host[2].Value != resultArgument || a.Host[2].Data != nil {
		t.Fatalf("%+v", a.Host)
	}
	if state := (*e.States)[0].Data; !bytes.Equal(a.Host[1].Data, state[8:]) || !bytes.Equal(a.Answer.State, state) {
		t.Errorf("%x beside %x", a.Host[1].Data, state)
	}
	if a.Host[1].Asked == a.Host[2].Asked {
		t.Error("different questions have the same digest")
	}
}

func TestARecordIsNotWrittenToOnceItIsHandedOver(t *testing.T) {
	s := &shelf{wants: true}
	c := newTestHost(t, HostOptions{Recorder: s}).chain(nil, guest("outputs"), guest("moody"))
	e := eventOf(router.HookMessage, answering(vContinue).put(outPayload, `{"first":1}`).put(outState, "kept"))
	states := []router.State{{Filter: "outputs", Version: 3, Data: []byte("before")}}
	e.States = &states
	judge(t, c, e)
	r := recorded(t, s)
	question := string(r.Asked[0].Payload)
	copy(e.Payload, bytes.Repeat([]byte{'#'}, len(e.Payload)))
	copy(e.Scratch, bytes.Repeat([]byte{'#'}, len(e.Scratch)))
	for i := range states {
		copy(states[i].Data, "########")
	}
	judge(t, c, message(`"the next event"`))
	first, second := r.Asked[0], r.Asked[1]
	if string(first.State) != "before" || first.StateVersion != 3 || string(first.Payload) != question || question[0] == '#' || string(r.Event.Payload) != question {
		t.Errorf("%+v", first)
	}
	if string(first.Answer.Payload) != `{"first":1}` || string(second.Payload) != `{"first":1}` || string(r.Event.Verdict.Payload) != `{"first":1}` || string(first.Answer.State) != "kept" {
		t.Errorf("%+v\n%+v\n%+v", first.Answer, second, r.Event.Verdict)
	}
	if r.Event.States != nil || r.Event.Request != nil || r.Event.Scratch != nil {
		t.Error("the record holds what the router goes on with")
	}
}

func TestARecordTellsOfFailures(t *testing.T) {
	s := &shelf{wants: true}
	c := newTestHost(t, HostOptions{Recorder: s}).chain(nil, guest("trap"))
	say(t, c, `"x"`)
	if a := recorded(t, s).Asked[0]; a.Failure != CauseTrap || a.Answer.Action != router.Continue {
		t.Errorf("%+v", a)
	}
}

func TestAnswersBeyondWhatARecordHoldsAreCut(t *testing.T) {
	s := &shelf{wants: true}
	c := newTestHost(t, HostOptions{Recorder: s}).chain(nil, keeping("keep"))
	o := counter("k", 1, 0)
	o.times = maxAnswers + 10
	judge(t, c, o.event())
	if a := recorded(t, s).Asked[0]; len(a.Host) != maxAnswers || !a.Cut {
		t.Errorf("%d answers, cut: %v", len(a.Host), a.Cut)
	}
}

func TestEventsThatNobodyWantsAreNotRecorded(t *testing.T) {
	s := &shelf{}
	c := newTestHost(t, HostOptions{Recorder: s}).chain(nil, guest("noop"))
	e := message(content(1024))
	judge(t, c, e)
	if len(s.records) != 0 {
		t.Errorf("%d records", len(s.records))
	}
	if raceEnabled {
		return
	}
	if n := testing.AllocsPerRun(1000, func() { judge(t, c, e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAnOracleAnswersInTheHostsPlaceAndOnlyWhatFits(t *testing.T) {
	r := &reciter{shelf: shelf{wants: true}, answer: Answer{Op: OpCounterAdd, Value: 41}}
	h := newTestHost(t, HostOptions{Recorder: r})
	c := h.chain(nil, keeping("keep"))
	counter("k", 1, 0).want(t, c, 41)
	if v, err := h.Space("keep").CounterAdd([]byte("k"), 0, 0); err != nil || v != 0 {
		t.Errorf("the host has counted as well: %d %v", v, err)
	}
	take("b", 1, 2, 1).want(t, c, 0) // the host's own
	r.answer = Answer{Op: OpKVGet, Value: 5, Data: []byte("short")}
	if n, text := get("k", 100).ask(t, c); n != 5 || text[:5] != "short" {
		t.Errorf("%d %.10q", n, text)
	}
	r.answer = Answer{Op: OpKVGet, Value: 50, Data: []byte("not as long as it says")}
	get("k", 100).want(t, c, resultNotFound)
	r.answer = Answer{Op: OpKVGet, Value: 500, Data: slices.Repeat([]byte("x"), 500)}
	get("k", 100).want(t, c, resultNotFound) // more than the guest has room for
}

// BenchmarkRecorder is what a recorder costs that wants everything, and one that
// wants nothing.
func BenchmarkRecorder(b *testing.B) {
	for name, r := range map[string]Recorder{"none": nil, "wants nothing": &shelf{}, "wants all": forgetful{}} {
		b.Run(name, func(b *testing.B) {
			benchJudge(b, newTestHost(b, HostOptions{Recorder: r}).chain(nil, guest("noop")), 128)
		})
	}
}

type forgetful struct{}

func (forgetful) Wants(*router.Event) bool { return true }
func (forgetful) Judged(*Record)           {}
