package plugins

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/router"
)

// beside is the candidate's stats once everything that was drawn is settled.
func beside(t testing.TB, c *Chain) *Stats {
	t.Helper()
	for end := time.Now().Add(hang); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s := stats(c).Candidate
		settled := s.Shadow.Compared
		for _, n := range s.Shadow.Dropped {
			settled += n
		}
		if settled == s.Shadow.Drawn {
			return s
		}
	}
	t.Fatalf("the candidate is still at it: %+v", stats(c).Candidate.Shadow)
	return nil
}

// differences are those counted, as kind=n, of the candidate.
func differences(s *Stats) (all uint64) {
	for _, n := range s.Shadow.Differences {
		all += n
	}
	return all
}

// gatedRandom gives random bytes when it is let.
type gatedRandom struct {
	asked chan struct{}
	let   chan struct{}
}

func newGatedRandom() *gatedRandom {
	return &gatedRandom{make(chan struct{}, 1000), make(chan struct{})}
}

func (g *gatedRandom) Read(p []byte) (int, error) {
	g.asked <- struct{}{}
	<-g.let
	return len(p), nil
}

func shadowing100(active, candidate string) Spec { return trying(active, candidate, RoleShadow, 1) }

func capable(s Spec) Spec {
	s.Capabilities = []string{"log", "now", "random"}
	return s
}

func TestACandidateInTheShadowIsComparedAndHasNoEffect(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 2})
	for _, row := range []struct {
		active, candidate string
		s                 *script
		kind              string
		fields            string
		failure           string
	}{
		{"outputs", "noop", answering(vContinue), "", "", ""},
		{"outputs", "noop", answering(vDeny).u32(outCode, 422), "verdict", "", ""},
		{"outputs", "noop", answering(vContinue).put(outPayload, `"new"`), "output", "payload", ""},
		{"outputs", "noop", answering(vContinue).put(outState, "s"), "output", "state", ""},
		{"outputs", "noop", answering(-1), "failure", "", ""},
		{"noop", "outputs", answering(vDrop), "verdict", "", ""},
		{"noop", "outputs", answering(-1), "failure", "", "guest_error"},
		{"noop", "outputs", answering(vAllow), "", "", ""}, // it may not: it continues
		{"outputs", "outputs", answering(vDeny).u32(outCode, 401).put(outReason, "x"), "", "", ""},
		{"outputs", "outputs", answering(-1), "", "", "guest_error"},
		{"noop", "trap", answering(vContinue), "failure", "", "trap"},
		{"trap", "noop", answering(vContinue), "failure", "", ""},
		{"trap", "trap", answering(vContinue), "", "", "trap"},
	} {
		c := h.chain(nil, shadowing100(row.active, row.candidate))
		alone := guest(row.active)
		alone.Name = "policy"
		without := h.chain(nil, alone)
		got, want := eventOf(router.HookMessage, row.s), eventOf(router.HookMessage, row.s)
		judge(t, c, got)
		judge(t, without, want)
		if g, w := got.Verdict, want.Verdict; g.Action != w.Action || g.Code != w.Code || g.Failure != w.Failure || string(g.Payload) != string(w.Payload) || len(*got.States) != len(*want.States) {
			t.Errorf("%+v: with a candidate the verdict is %+v, without %+v", row, g, w)
		}
		s := beside(t, c)
		if s.Role != RoleShadow || s.Shadow.Compared != 1 || s.Calls != 1 || s.Timed != 1 || s.TimedTime <= 0 {
			t.Errorf("%+v: %+v", row, s)
		}
		if row.failure != "" && s.Failures[row.failure] != 1 {
			t.Errorf("%+v: failures %v", row, s.Failures)
		}
		if row.kind == "" {
			if differences(s) != 0 || len(s.Shadow.Samples) != 0 {
				t.Errorf("%+v: %+v", row, s.Shadow)
			}
		} else if d := s.Shadow.Samples; s.Shadow.Differences[row.kind] != 1 || differences(s) != 1 || len(d) != 1 ||
			d[0].Kind != row.kind || strings.Join(d[0].Fields, ",") != row.fields || d[0].Hook != "message" || d[0].Message != "room" {
			t.Errorf("%+v: %+v", row, s.Shadow)
		}
		c.Retire()
		without.Retire()
	}
}

func TestACandidateThatTrapsAtTheFirstEventHarmsNothing(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	c := h.chain(nil, shadowing100("noop", "trap"))
	for i := range 20 {
		if v := judge(t, c, of(uint64(i), `1`)); v.Action != router.Continue || v.Failure != "" {
			t.Fatalf("%+v", *v)
		}
		beside(t, c)
	}
	s := stats(c)
	if s.Calls != 20 || s.Failures["trap"] != 0 || s.Created != 1 {
		t.Errorf("the filter: %+v", s)
	}
	if n := s.Candidate; n.Failures["trap"] != 20 || n.Shadow.Differences["failure"] != 20 || n.Created < 20 {
		t.Errorf("the candidate: %+v %+v", n, n.Shadow)
	}
}

// The candidate hangs in the host, for as long as the test wants.
func TestAShadowThatHangsDelaysNobodyAndWhatItMissesIsCounted(t *testing.T) {
	random := newGatedRandom()
	h := newTestHost(t, HostOptions{Lanes: 1, Random: random})
	c := h.chain(nil, capable(shadowing100("noop", "capable")))
	judge(t, c, of(1, `1`))
	<-random.asked // the candidate hangs with the first event
	const n = 3 * shadowQueue
	for i := range n {
		if v := judge(t, c, of(uint64(i), `1`)); v.Action != router.Continue || v.Failure != "" {
			t.Fatalf("%+v", *v)
		}
	}
	s := stats(c)
	if s.Calls != n+1 || s.Failures["overloaded"] != 0 {
		t.Errorf("the filter: %+v", s)
	}
	if got := s.Candidate.Shadow; got.Drawn != n+1 || got.Queue != shadowQueue || got.Dropped[DropQueueFull] != n-shadowQueue || got.Compared != 0 {
		t.Errorf("%+v", got)
	}
	close(random.let)
	if got := beside(t, c); got.Shadow.Compared != shadowQueue+1 || got.Shadow.Dropped[DropQueueFull] != n-shadowQueue {
		t.Errorf("%+v", got.Shadow)
	}
	// The worker counts what it compared before it says that it is done.
	for end := time.Now().Add(10 * time.Second); stats(c).Candidate.InFlight != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a call stays in flight")
		}
	}
}

func TestWhatWaitsForAShadowIsBoundedInBytes(t *testing.T) {
	random := newGatedRandom()
	h := newTestHost(t, HostOptions{Random: random})
	c := h.chain(nil, capable(shadowing100("noop", "capable")))
	judge(t, c, of(1, `1`))
	<-random.asked
	big := content(60 << 10)
	for i := range shadowQueue {
		judge(t, c, of(uint64(i), big))
	}
	s := stats(c).Candidate.Shadow
	if bytes := s.Queue * len(big); bytes > shadowBytes || bytes < shadowBytes/2 || s.Dropped[DropQueueFull]+uint64(s.Queue) != shadowQueue {
		t.Errorf("%d events wait, with %d bytes; %v", s.Queue, bytes, s.Dropped)
	}
	close(random.let)
	beside(t, c)
	if left := c.filters[0].candidate().pool.shadow.waiting.Load(); left != 0 {
		t.Errorf("%d bytes are counted as waiting in an empty queue", left)
	}
}

func TestRetireWaitsForTheShadowThatIsAtWorkAndClosesIt(t *testing.T) {
	for _, end := range []func(*testHost, *Chain){
		func(_ *testHost, c *Chain) { c.Retire() },
		func(h *testHost, _ *Chain) { _ = h.Close(context.Background()) },
	} {
		random := newGatedRandom()
		h := newTestHost(t, HostOptions{Random: random})
		c := h.chain(nil, capable(shadowing100("noop", "capable")))
		for i := range 10 {
			judge(t, c, of(uint64(i), `1`))
		}
		<-random.asked
		p := c.filters[0].candidate().pool
		instance := p.slots[0].in
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			end(h, c)
		}()
		<-p.done // it has begun
		select {
		case <-ended:
			t.Fatal("it has returned, and the candidate is still at work")
		case <-p.shadow.ended:
			t.Fatal("the worker has ended in the midst of a call")
		default:
		}
		close(random.let)
		<-ended
		if !instance.mod.IsClosed() || p.slots[0].in != nil {
			t.Error("an instance of the candidate is open")
		}
	}
}

func TestASlowShadowTimesOutAloneAndWithinItsShareOfAProcessor(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 1})
	c := h.chain(nil, shadowing100("noop", "loop_message"))
	for i := range 5 {
		if v := judge(t, c, of(uint64(i), `1`)); v.Failure != "" {
			t.Fatalf("%+v", *v)
		}
	}
	s := beside(t, c)
	if s.Failures["timeout"] != 5 || s.Shadow.Differences["failure"] != 5 {
		t.Errorf("%+v %v", s.Shadow, s.Failures)
	}
	if c.slowFor(0, &question{event: message(`1`), room: "chat:lobby"}) {
		t.Error("the events pass the gate because of the candidate")
	}
	// What a worker that has taken more than its share does next.
	p := &pool{done: make(chan struct{})}
	sh := newShadow(p)
	sh.share.at = nanotime()
	sh.share.charge(2 * shareSpan)
	rested := make(chan bool)
	go func() { rested <- sh.rest(nanotime()) }()
	select {
	case <-rested:
		t.Error("a candidate that has taken more than its share goes on at once")
	case <-time.After(20 * time.Millisecond):
		close(p.done)
		if <-rested {
			t.Error("it goes on when its pool has been retired")
		}
	}
}

// A copy of a guest, with another digest, that behaves alike.
func twin(t testing.TB, file string) *Candidate {
	t.Helper()
	wasm, err := os.ReadFile(filepath.Join("testdata", file+".wasm"))
	if err == nil {
		wasm, err = ReplaceSections(wasm, CustomSection{"twin", []byte{1}})
	}
	path := filepath.Join(t.TempDir(), "twin.wasm")
	if err == nil {
		err = os.WriteFile(path, wasm, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &Candidate{Plugin: path, Role: RoleShadow, Share: 1}
}

func TestAShadowIsAskedAboutItsShareOfTheEvents(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, trying("noop", "noop", RoleShadow, 0.25))
	sh := c.filters[0].shadow
	drawn, server := 0, 0
	for i := range 8000 {
		e := of(uint64(1+i%40), `1`)
		e.Seq = uint64(1 + i/40)
		if sh.draws(e) {
			drawn++
		}
		e.Conn, e.Seq, e.Time = 0, 0, int64(i)
		if sh.draws(e) {
			server++
		}
	}
	for what, n := range map[string]int{"clients": drawn, "the server": server} {
		if n < 1700 || n > 2300 {
			t.Errorf("%d of 8000 events of %s are drawn, want a quarter", n, what)
		}
	}
}

func TestACandidateWithoutTheHookIsTakenAsIfItContinued(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	c := h.chain(nil, shadowing100("outputs", "noop"))
	judge(t, c, eventOf(router.HookJoin, answering(vDeny)))
	judge(t, c, eventOf(router.HookJoin, answering(vContinue)))
	if s := beside(t, c); s.Shadow.Compared != 2 || s.Calls != 0 || s.Shadow.Differences["verdict"] != 1 {
		t.Errorf("%+v", s)
	}
}

func TestAShadowIsGivenTheStateAsItWasBeforeTheFilterChangedIt(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 1})
	spec := guest("count")
	spec.Candidate = twin(t, "count")
	c := h.chain(nil, spec)
	e := of(3, `1`)
	for range 4 { // it denies from the third on, by its state
		judge(t, c, e)
	}
	if n := binary.LittleEndian.Uint32((*e.States)[0].Data); n != 4 {
		t.Fatalf("the filter counted %d", n)
	}
	if s := beside(t, c); differences(s) != 0 || s.Verdicts["deny"] != 2 || s.Verdicts["continue"] != 2 {
		t.Errorf("%+v %v", s.Shadow, s.Verdicts)
	}
}

func TestAnEventIsTheShadowsOwnOnceTheFilterHasAnswered(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 1})
	spec := guest("outputs")
	spec.Candidate = twin(t, "outputs")
	c := h.chain(nil, spec)
	sh := c.filters[0].candidate().pool.shadow
	sh.mu.Lock() // the worker gets no further than the first event
	judge(t, c, eventOf(router.HookMessage, answering(vContinue)))
	e := eventOf(router.HookMessage, answering(vDeny).u32(outCode, 422).put(outReason, "no"))
	e.Claims = []byte(`{"a":1}`)
	judge(t, c, e)
	copy(e.Payload, eventOf(router.HookMessage, answering(vDrop)).Payload) // the router reads the next one into it
	clear(e.Claims)
	sh.mu.Unlock()
	if s := beside(t, c); differences(s) != 0 || s.Verdicts["deny"] != 1 {
		t.Errorf("%+v %v", s.Shadow, s.Verdicts)
	}
}

func TestAShadowOfAChangedFilterBeginsAnew(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	first := h.chain(nil, shadowing100("noop", "trap"))
	say(t, first, `1`)
	beside(t, first)
	second := h.chain(first, shadowing100("moody", "trap"))
	first.Retire()
	if s := beside(t, second); s.Shadow.Drawn != 0 || s.Calls != 0 {
		t.Errorf("what was compared with another version is counted: %+v", s.Shadow)
	}
}

func TestACandidatesFixturesHaveToPassToo(t *testing.T) {
	for _, role := range []string{RoleCanary, RoleShadow} {
		h := newTestHost(t, HostOptions{})
		wasm, _ := os.ReadFile("testdata/noop.wasm")
		wasm, err := ReplaceSections(wasm, CustomSection{SectionFixtures, []byte("tests: []")})
		path := filepath.Join(t.TempDir(), "tested.wasm")
		if err == nil {
			err = os.WriteFile(path, wasm, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		spec := trying("noop", "noop", role, 0.5)
		spec.Candidate.Plugin = path
		first := h.chain(nil, spec)
		if u := first.TakeUnproved(); len(u) != 1 || u[0].Filter != "policy" || u[0].File != path || string(u[0].Wasm) != string(wasm) {
			t.Errorf("%s: %d modules are unproved", role, len(u))
		}
		spec.Candidate.Share = 1
		if u := h.chain(first, spec).TakeUnproved(); len(u) != 0 {
			t.Errorf("%s: what was proved is unproved", role)
		}
	}
}

func TestWithoutACandidateOrOutsideItsShareNothingIsAllocated(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop what is put into it")
	}
	for what, c := range map[string]*Chain{
		"none":   newTestHost(t, HostOptions{}).chain(nil, guest("noop")),
		"canary": newTestHost(t, HostOptions{}).chain(nil, trying("noop", "noop", RoleCanary, 0.5)),
		"shadow": newTestHost(t, HostOptions{}).chain(nil, trying("noop", "noop", RoleShadow, 0)),
	} {
		e := message(content(1024))
		n := testing.AllocsPerRun(2000, func() {
			e.Conn++
			if c.Judge(e) != nil || e.Verdict.Action != router.Continue {
				t.Fatal(e.Verdict)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}

func BenchmarkRollout(b *testing.B) {
	for _, row := range []struct {
		name string
		spec Spec
	}{
		{"off", guest("noop")},
		{"canary", trying("noop", "noop", RoleCanary, 0.5)},
		{"shadow-0", trying("noop", "noop", RoleShadow, 0)},
		{"shadow-1", trying("noop", "noop", RoleShadow, 0.01)},
	} {
		b.Run(row.name, func(b *testing.B) {
			c := newTestHost(b, HostOptions{}).chain(nil, row.spec)
			e := message(content(128))
			b.ReportAllocs()
			for b.Loop() {
				e.Seq++
				if err := c.Judge(e); err != nil || e.Verdict.Action != router.Continue {
					b.Fatal(err, e.Verdict)
				}
			}
		})
	}
}
