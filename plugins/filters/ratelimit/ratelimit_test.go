package ratelimit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/plugins"
	"sluice/plugins/filters"
	"sluice/plugins/plugintest"
	"sluice/router"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFixtures(t *testing.T) { plugintest.Test(t, "tests/*.yaml") }

// newHost starts the real host with the bundled filters and a clock.
func newHost(tb testing.TB, lanes int, now func() time.Time) *plugins.Host {
	tb.Helper()
	host, err := plugins.NewHost(plugins.HostOptions{Lanes: lanes, Log: slog.New(slog.DiscardHandler), Builtins: filters.FS, Now: now})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = host.Close(context.Background()) })
	return host
}

func spec(config string) plugins.Spec {
	return plugins.Spec{Name: "ratelimit", Plugin: "builtin:ratelimit", Config: json.RawMessage(config), Time: plugins.MaxTime}
}

func load(tb testing.TB, host *plugins.Host, s plugins.Spec) *plugins.Chain {
	tb.Helper()
	chain, err := host.Build(tb.Context(), []plugins.Spec{s}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return chain
}

func event(user, room string) *router.Event {
	return &router.Event{
		Hook: router.HookMessage, Kind: router.KindRoom, Room: room, User: user, Conn: 1, Seq: 1,
		Payload: []byte(`"hi"`), States: new([]router.State),
	}
}

func judge(tb testing.TB, chain *plugins.Chain, e *router.Event) router.Verdict {
	tb.Helper()
	if err := chain.Judge(e); err != nil {
		tb.Fatal(err)
	}
	return e.Verdict
}

func stopped() time.Time { return time.Unix(1700000000, 0) }

func TestTheNodesInstancesShareTheBuckets(t *testing.T) {
	chain := load(t, newHost(t, 4, stopped), spec(`{"rules":[{"per":"room","burst":100,"refill_per_s":1}]}`))
	var passed, refused atomic.Int64
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for range 100 {
				e := event(fmt.Sprint("user", i), "one")
				if err := chain.Judge(e); err != nil {
					t.Error(err)
					return
				}
				switch v := &e.Verdict; {
				case v.Action == router.Continue:
					passed.Add(1)
				case v.Action == router.Deny && v.Code == 429:
					refused.Add(1)
				default:
					t.Errorf("got %+v", *v)
				}
			}
		})
	}
	all.Wait()
	if passed.Load() != 100 || refused.Load() != 300 {
		t.Errorf("%d passed and %d were refused, want 100 and 300", passed.Load(), refused.Load())
	}
}

func TestAReloadKeepsTheBuckets(t *testing.T) {
	host := newHost(t, 1, stopped)
	s := spec(`{"rules":[{"per":"user","burst":2,"refill_per_s":1}]}`)
	before := load(t, host, s)
	judge(t, before, event("ann", "a"))
	after, err := host.Build(t.Context(), []plugins.Spec{s}, before)
	if err != nil {
		t.Fatal(err)
	}
	before.Retire()
	if v := judge(t, after, event("ann", "a")); v.Action != router.Continue {
		t.Errorf("the second of two: %+v", v)
	}
	if v := judge(t, after, event("ann", "a")); v.Code != 429 || v.RetryAfter != time.Second {
		t.Errorf("the third of two: %+v", v)
	}
}

func TestNamesOfAnyLengthHaveABucketOfTheirOwn(t *testing.T) {
	chain := load(t, newHost(t, 1, stopped), spec(`{"rules":[{"per":"user","burst":1,"refill_per_s":1}]}`))
	for n := 1; n <= 255; n++ {
		for _, last := range []string{"x", "y"} {
			if v := judge(t, chain, event(strings.Repeat("n", n-1)+last, "a")); v.Action != router.Continue {
				t.Fatalf("%d bytes: %+v", n, v)
			}
		}
	}
	if v := judge(t, chain, event(strings.Repeat("n", 254)+"x", "a")); v.Code != 429 {
		t.Errorf("the same long name again: %+v", v)
	}
}

func TestWhatAFullTableMeansIsConfigured(t *testing.T) {
	for _, c := range []struct {
		whenFull string
		code     uint32
	}{{"deny", 503}, {"allow", 0}} {
		s := spec(`{"when_full":"` + c.whenFull + `","rules":[{"per":"user","burst":5,"refill_per_s":1}]}`)
		s.Quota.Counters = 3
		chain := load(t, newHost(t, 1, stopped), s)
		var last router.Verdict
		for i := range 10 {
			last = judge(t, chain, event(fmt.Sprint(i), "a"))
		}
		if last.Code != c.code || last.Failure != "" {
			t.Errorf("%s: %+v", c.whenFull, last)
		}
	}
}

func TestTheModuleCarriesItsSchemaAndItsCapability(t *testing.T) {
	wasm, err := os.ReadFile("ratelimit.wasm")
	if err != nil {
		t.Fatal(err)
	}
	for section, file := range map[string]string{"\x0dsluice.schema": "schema.json", "\x0bsluice.meta": "meta.json"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(wasm), section+string(content)) {
			t.Errorf("its section %q is not %s: run make filters", section[1:], file)
		}
	}
	if len(wasm) > 32<<10 {
		t.Errorf("it has %d bytes; it is to stay small", len(wasm))
	}
}

func BenchmarkRatelimit(b *testing.B) {
	for _, c := range []struct{ name, config string }{
		{"user", `{"rules":[{"per":"user","burst":1000000,"refill_per_s":1000000}]}`},
		{"user and room", `{"rules":[{"per":"user","burst":1000000,"refill_per_s":1000000},{"per":"room","burst":1000000,"refill_per_s":1000000}]}`},
		{"refused", `{"rules":[{"per":"user","burst":1,"refill_per_min":1}]}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			chain := load(b, newHost(b, 1, nil), spec(c.config))
			e := event("ann", "chat:lobby")
			b.ReportAllocs()
			for b.Loop() {
				if err := chain.Judge(e); err != nil {
					b.Fatal(err)
				}
			}
			if e.Verdict.Failure != "" {
				b.Fatalf("%+v", e.Verdict)
			}
		})
	}
}
