package bench

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// faults are the counts that a run of a good server has none of.
type faults struct{ lost, duplicated, disordered, misdelivered int64 }

func (res *Result) faultsFound() faults {
	return faults{res.Lost, res.Duplicated, res.Disordered, res.Misdelivered}
}

func TestAGoodServerIsFoundToBeOne(t *testing.T) {
	for _, scenario := range []Scenario{Fanout, Rooms} {
		onEachEngine(t, func(t *testing.T, plain bool) {
			f := newFake(t).serve()
			o := f.options(scenario)
			o.plain, o.Rooms = plain, 2
			if scenario == Fanout {
				o.Rooms = 1
			}
			res := o.run(t)
			members := int64(o.Connections / o.Rooms)
			if res.faultsFound() != (faults{}) || res.Failed() || res.Delivered != res.Published*members || res.Published == 0 {
				t.Errorf("of %d published messages %d were delivered: %+v", res.Published, res.Delivered, res.faultsFound())
			}
			if res.Version != "1.2.3" || res.Connect.Joined != 6 || res.Latency.P50 <= 0 || res.Latency.Max < res.Latency.P99 {
				t.Errorf("got %+v", res)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			n := 0
			for _, r := range f.rooms {
				n += r.n
			}
			if int64(n) != res.Published || len(f.rooms) != o.Rooms {
				t.Errorf("the server got %d messages in %d rooms, %d were sent", n, len(f.rooms), res.Published)
			}
			users := slices.Compact(slices.Sorted(slices.Values(f.users)))
			if len(users) != 6 || !strings.HasPrefix(users[0], "bench-") {
				t.Errorf("the users were %v", users)
			}
		})
	}
}

func TestWhatAServerDoesToMessagesIsCountedExactly(t *testing.T) {
	for name, c := range map[string]struct {
		deliver func(counts *counters, n int, m *fakeMember, frame string)
	}{
		"lost": {func(k *counters, n int, m *fakeMember, frame string) {
			if n%7 == 3 && m.place == 2 {
				k.lost.Add(1)
				return
			}
			m.send(frame)
		}},
		"the last one is lost as well": {func(k *counters, n int, m *fakeMember, frame string) {
			if n > 20 && m.place == 1 {
				k.lost.Add(1)
				return
			}
			m.send(frame)
		}},
		"duplicated": {func(k *counters, n int, m *fakeMember, frame string) {
			m.send(frame)
			if n%5 == 0 && m.place < 2 {
				k.duplicated.Add(1)
				m.send(frame)
			}
		}},
		"disordered": {func(k *counters, n int, m *fakeMember, frame string) {
			switch {
			case n%10 == 4 && m.place == 3:
				m.held = frame
				k.lost.Add(1) // unless it is sent
			case m.held != "":
				m.send(frame)
				m.send(m.held)
				m.held = ""
				k.lost.Add(-1)
				k.disordered.Add(1)
			default:
				m.send(frame)
			}
		}},
		"misdelivered": {func(k *counters, n int, m *fakeMember, frame string) {
			m.send(frame)
			if n%9 == 1 && m.place == 0 { // a number that the publisher has not come to
				at := strings.Index(frame, "~") + prefixSize + timeLetters
				m.send(frame[:at] + "p" + frame[at+1:])
				k.misdelivered.Add(1)
			}
		}},
	} {
		onEachEngine(t, func(t *testing.T, plain bool) {
			f := newFake(t)
			var k counters
			f.deliver = func(n int, m *fakeMember, frame string) { c.deliver(&k, n, m, frame) }
			o := f.serve().options(Fanout)
			o.plain, o.Drain = plain, 2*time.Second
			res := o.run(t)
			want := faults{k.lost.Load(), k.duplicated.Load(), k.disordered.Load(), k.misdelivered.Load()}
			if got := res.faultsFound(); got != want || want == (faults{}) {
				t.Errorf("%s: found %+v, the server did %+v", name, got, want)
			}
			if !res.Failed() || res.Delivered != res.Expected-want.lost {
				t.Errorf("%s: %d of %d were delivered", name, res.Delivered, res.Expected)
			}
		})
	}
}

type counters struct{ lost, duplicated, disordered, misdelivered atomic.Int64 }

func TestMessagesOfOtherRunsAreNotCounted(t *testing.T) {
	f := newFake(t)
	f.deliver = func(_ int, m *fakeMember, frame string) {
		at := strings.Index(frame, "~") + 1
		m.send(frame[:at] + "zzzzzz" + frame[at+runLetters:])
		m.send(frame)
	}
	if res := f.serve().options(Fanout).run(t); res.Failed() || res.Delivered == 0 {
		t.Errorf("found %+v", res.faultsFound())
	}
}

func TestADelayIsMeasured(t *testing.T) {
	const delay = 80 * time.Millisecond
	onEachEngine(t, func(t *testing.T, plain bool) {
		f := newFake(t)
		var late sync.WaitGroup
		f.deliver = func(_ int, m *fakeMember, frame string) {
			late.Go(func() { time.Sleep(delay); m.send(frame) })
		}
		o := f.serve().options(Fanout)
		o.plain, o.Rate = plain, 5 // far enough apart to stay in order
		o.Duration = time.Second
		res := o.run(t)
		late.Wait()
		if res.Latency.P50 < float64(delay.Microseconds()) || res.Lost != 0 {
			t.Errorf("the median is %v µs, %d are lost", res.Latency.P50, res.Lost)
		}
	})
}

func TestTheLatenessOfThePublisherIsReportedApart(t *testing.T) {
	f := newFake(t).serve()
	o := f.options(Fanout)
	o.Connections, o.Rate, o.Duration = 2, 1e6, 100*time.Millisecond // more than a loop that reads in between sends
	res := o.run(t)
	if res.Late.P99 <= 0 || res.PublishesPerSecond <= 0 || res.Published > 100_000 {
		t.Errorf("late by %v µs, %d published", res.Late.P99, res.Published)
	}
}

func TestWhatAServerThatDoesNotReadKeepsFromBeingSentIsLate(t *testing.T) {
	f := newFake(t)
	release := make(chan struct{})
	f.publish = func(n int, _ *fakeMember) string {
		if n == 2 {
			<-release
		}
		return ""
	}
	o := f.serve().options(Fanout)
	o.Connections, o.Size, o.Rate, o.Duration, o.Drain = 2, 500_000, 100, time.Second, 0
	defer close(release)
	res := o.run(t)
	// What the sockets hold is sent in time: some megabytes, which are a few messages.
	if res.Published >= 50 || res.Late.P99 < 500_000 {
		t.Errorf("of 100 messages %d were sent, and at p99 they are late by %v µs", res.Published, res.Late.P99)
	}
}

func TestClosedConnectionsAreCountedByCode(t *testing.T) {
	onEachEngine(t, func(t *testing.T, plain bool) {
		f := newFake(t)
		f.deliver = func(n int, m *fakeMember, frame string) {
			switch {
			case n == 5 && m.place == 3:
				go m.conn.Close(4100, "too slow")
			case n == 5 && m.place >= 4:
				m.conn.CloseNow()
			default:
				m.send(frame)
			}
		}
		o := f.serve().options(Fanout)
		o.plain, o.Drain = plain, time.Second
		res := o.run(t)
		if res.Closed["4100"] != 1 || res.Closed["4100"]+res.Closed["eof"]+res.Closed["reset"] != 3 || res.Reasons["4100"] != "too slow" || !res.Failed() {
			t.Errorf("closed: %v, reasons: %v", res.Closed, res.Reasons)
		}
		if res.Lost < 3 {
			t.Errorf("%d are lost: of the three at least the one at which they were closed is", res.Lost)
		}
	})
}

func TestRefusedConnectsAreCountedByCodeAndReason(t *testing.T) {
	answer := func(status int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			io.WriteString(w, body)
			return true
		}
	}
	for _, c := range []struct {
		refuse func(http.ResponseWriter, *http.Request) bool
		code   string
		reason string
	}{
		{answer(401, `{"event":"error","code":"unauthorized","reason":"a token is required","filter":"auth"}`), "unauthorized", "a token is required (filter auth)"},
		{answer(429, `{"event":"error","code":"rate_limited","reason":"too many"}`), "rate_limited", "too many"},
		{answer(404, `{"code":"not_found","reason":"there are /healthz and /metrics"}`), "not_found", "there are /healthz"},
		{answer(403, "origin\n"), "http_403", "403 Forbidden: origin"},
		{answer(404, ""), "http_404", "404 Not Found"},
		{answer(502, strings.Repeat("<p>", 30_000)), "http_502", "502 Bad Gateway: <p>"},
		{func(w http.ResponseWriter, _ *http.Request) bool { // its end is that of the connection
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.0 503 Busy\r\n\r\ncome back")
				conn.Close()
			}
			return true
		}, "http_503", "HTTP/1.0 503 Busy: come back"},
		{answer(200, "hello"), "http_200", "200 OK: hello"},
	} {
		onEachEngine(t, func(t *testing.T, plain bool) {
			f := newFake(t)
			f.refuse = c.refuse
			o := f.serve().options(Connect)
			o.plain = plain
			res := o.run(t)
			if res.Refused[c.code] != 6 || len(res.Refused) != 1 || !strings.HasPrefix(res.Reasons[c.code], c.reason) || res.Connect.Joined != 0 {
				t.Errorf("%s: refused %v, reasons %v", c.code, res.Refused, res.Reasons)
			}
			var text bytes.Buffer
			if err := WriteText(&text, []*Result{res}, res); err != nil || !strings.Contains(text.String(), "6 × "+c.code+": "+c.reason) {
				t.Errorf("%v\n%s", err, &text)
			}
			if c.code != "http_200" && !strings.Contains(text.String(), "→ ") {
				t.Errorf("there is no advice:\n%s", &text)
			}
		})
	}
}

func TestRefusedJoinsAndPublishesAreNeitherExpectedNorLost(t *testing.T) {
	onEachEngine(t, func(t *testing.T, plain bool) {
		f := newFake(t)
		f.join = func(m *fakeMember) string {
			if m.place == 1 {
				return `{"event":"error","code":"forbidden","reason":"not here"}`
			}
			for name := range f.rooms {
				return `{"event":"joined","room":"` + name + `"}`
			}
			return ""
		}
		f.deliver = func(_ int, m *fakeMember, frame string) {
			if m.place != 1 {
				m.send(frame)
			}
		}
		denied := int64(0)
		f.publish = func(n int, _ *fakeMember) string {
			if n%4 == 0 {
				denied++
				return `{"event":"error","code":"filter_1001","reason":"no","filter":"words"}`
			}
			return ""
		}
		o := f.serve().options(Fanout)
		o.plain = plain
		res := o.run(t)
		f.mu.Lock()
		want := map[string]int64{"forbidden": 1, "filter_1001": denied}
		f.mu.Unlock()
		if !maps.Equal(res.Refused, want) || res.Lost != 0 || res.Expected != (res.Published-denied)*5 || res.Connect.Joined != 5 {
			t.Errorf("refused %v, not %v; %d of %d lost, %d published", res.Refused, want, res.Lost, res.Expected, res.Published)
		}
	})
}

// Of every five messages one is answered with unavailable and delivered all the same, another
// one is not delivered, and a third one is accepted and lost for one member. Without the first
// being due, that loss would not show.
func TestAMessageOfWhichTheServerCannotKnowIsDueIfAnybodyGotIt(t *testing.T) {
	onEachEngine(t, func(t *testing.T, plain bool) {
		f := newFake(t)
		const answer = `{"event":"error","code":"unavailable","reason":"it may have been accepted"}`
		var doubts, unsent, lost int64
		f.publish = func(n int, m *fakeMember) string {
			switch n % 5 {
			case 1:
				doubts++
				m.send(answer)
			case 2:
				doubts++
				unsent++
				return answer
			}
			return ""
		}
		f.deliver = func(n int, m *fakeMember, frame string) {
			if n%5 == 3 && m.place == 2 {
				lost++
				return
			}
			m.send(frame)
		}
		o := f.serve().options(Fanout)
		o.plain, o.Drain = plain, time.Second
		res := o.run(t)
		f.mu.Lock()
		defer f.mu.Unlock()
		if res.Refused[unavailable] != doubts || res.Expected != (res.Published-unsent)*6 || res.Lost != lost || lost == 0 {
			t.Errorf("%d of %d answers came; of %d published, %d of which were not accepted, %d deliveries were due, and %d lost, not %d",
				res.Refused[unavailable], doubts, res.Published, unsent, res.Expected, res.Lost, lost)
		}
	})
}

func TestGapsAreReported(t *testing.T) {
	f := newFake(t)
	f.deliver = func(n int, m *fakeMember, frame string) {
		if n == 3 && m.place == 0 {
			m.send(`{"event":"gap","room":"x","reason":"slow"}`)
		}
		m.send(frame)
	}
	if res := f.serve().options(Fanout).run(t); res.Gaps["slow"] != 1 || !res.Failed() {
		t.Errorf("gaps: %v", res.Gaps)
	}
}

func TestBothKindsOfPingsAreAnswered(t *testing.T) {
	onEachEngine(t, func(t *testing.T, plain bool) {
		f := newFake(t)
		ponged := make(chan error, 6)
		f.join = func(m *fakeMember) string {
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				ponged <- m.conn.Ping(ctx)
			}()
			m.send(`{"event":"ping"}`)
			for name := range f.rooms {
				return `{"event":"joined","room":"` + name + `"}`
			}
			return ""
		}
		o := f.serve().options(Idle)
		o.plain, o.Rooms, o.Duration = plain, 1, 500*time.Millisecond
		res := o.run(t)
		for range 6 {
			if err := <-ponged; err != nil {
				t.Errorf("a ping is not answered: %v", err)
			}
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.heard) != 6 || res.Failed() {
			t.Errorf("%d pongs came, closed: %v", len(f.heard), res.Closed)
		}
	})
}

func TestAServerThatDoesNotAnswerIsGivenUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) // connections wait in its queue
	onEachEngine(t, func(t *testing.T, plain bool) {
		o := &Options{Scenario: Connect, URL: "ws://" + l.Addr().String() + "/", Connections: 3, Concurrency: 3, ConnectTimeout: 50 * time.Millisecond, plain: plain, hurry: true}
		if res := o.run(t); res.Refused["timeout"] != 3 {
			t.Errorf("refused: %v", res.Refused)
		}
	})
}

func TestNobodyListeningIsARefusalWithAdvice(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, plain := range []bool{false, true} {
		o := &Options{Scenario: Connect, URL: "ws://" + l.Addr().String() + "/", Connections: 30, Concurrency: 5, ConnectTimeout: patience, plain: plain, hurry: true}
		res := o.run(t)
		if n := res.Refused["connection_refused"]; n < 10 || n > 20 || len(res.Refused) != 1 {
			t.Errorf("refused: %v; it should have been given up", res.Refused)
		}
	}
}

func TestAServerWithoutTLSIsNoTransportError(t *testing.T) {
	o := newFake(t).serve().options(Connect)
	o.URL = "wss" + strings.TrimPrefix(o.URL, "ws")
	res := o.run(t)
	var text bytes.Buffer
	if err := WriteText(&text, []*Result{res}, res); err != nil || res.Refused["bad_answer"] != 6 || !strings.Contains(text.String(), "ws against wss") {
		t.Errorf("%v\n%s", err, &text)
	}
}

// A server that talks anything but WebSocket must not hurt.
func TestGarbageEndsAConnectionAndIsReported(t *testing.T) {
	upgrade := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + handshakeAnswer + "\r\n\r\n"
	for answer, code := range map[string]string{
		"SSH-2.0-OpenSSH_9.6\r\n\r\n":                            "bad_answer",
		strings.Repeat("x", maxAnswer+1):                         "bad_answer",
		"\r\n\r\n":                                               "bad_answer",
		strings.Replace(upgrade, handshakeAnswer, "x", 1):        "bad_answer",
		upgrade + "\x81\x85":                                     "protocol_error",
		upgrade + "\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff":     "protocol_error",
		upgrade + "\x80\x01x":                                    "protocol_error",
		upgrade + "\x01\x01x\x81\x01x":                           "protocol_error",
		upgrade + "\x88\x02\x0f\xa1":                             "4001",
		upgrade + "\x88\x00":                                     "no_code",
		upgrade + "\x81\x02{}\x81\x00\x81\x05hello" + "\x88\x00": "no_code",
		upgrade: "eof",
		"":      "eof",
	} {
		onEachEngine(t, func(t *testing.T, plain bool) {
			o := &Options{Scenario: Connect, URL: "ws://" + speak(t, answer) + "/", Connections: 1, Concurrency: 1, ConnectTimeout: patience, plain: plain, hurry: true}
			if res := o.run(t); res.Refused[code] != 1 && !(code == "eof" && res.Refused["reset"] == 1) {
				t.Errorf("%.60q: refused %v", answer, res.Refused)
			}
		})
	}
}

// speak is a server that says one thing to each connection once it has sent
// something, and closes it.
func speak(t *testing.T, text string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 4096)
			_, _ = conn.Read(buf)
			_, _ = io.WriteString(conn, text)
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}
