package plugins

import (
	"fmt"
	"testing"
	"time"

	"sluice/router"
)

// Of each of these the event is judged with 1 call and with 101: the difference
// is what 100 calls cost, the way into the host and back included.
var keepBenches = []struct {
	name string
	op   op
}{
	{"counter_add", counter("user:1234", 1, 60_000)},
	{"bucket_take", take("user:1234", 1, 1<<40, 1000)},
	{"bucket_take_refused", take("user:5678", 1<<40, 1<<40, 1)},
	{"kv_get", get("user:1234", 256)},
	{"kv_set", set("user:1234", content(128), 60_000)},
	{"metric_add", metric("messages", 1)},
}

func BenchmarkKeep(b *testing.B) {
	for _, row := range keepBenches {
		b.Run(row.name, func(b *testing.B) {
			c := newTestHost(b, HostOptions{}).chain(nil, keeping("keep"))
			set("user:1234", content(128), 0).ask(b, c)
			timeOf := func(times int) time.Duration {
				o := row.op
				o.times = times
				e := o.event()
				begin := time.Now()
				for range b.N {
					if err := c.Judge(e); err != nil || e.Verdict.Action != router.Continue {
						b.Fatal(err, e.Verdict)
					}
				}
				return time.Since(begin)
			}
			b.ReportAllocs()
			one := timeOf(1)
			hundred := timeOf(101)
			b.ReportMetric(float64(hundred-one)/float64(b.N)/100, "ns/call")
		})
	}
}

// BenchmarkKeepParallel is counter_add from all lanes at once, on one key and on
// one of each.
func BenchmarkKeepParallel(b *testing.B) {
	for _, shared := range []bool{true, false} {
		b.Run(fmt.Sprintf("shared=%v", shared), func(b *testing.B) {
			c := newTestHost(b, HostOptions{Lanes: 2}).chain(nil, keeping("keep"))
			next := make(chan int, 64)
			for i := range cap(next) {
				next <- i
			}
			b.RunParallel(func(pb *testing.PB) {
				key := "user:1234"
				if !shared {
					key = fmt.Sprint("user:", <-next)
				}
				o := counter(key, 1, 60_000)
				o.times = 100
				e := o.event()
				for pb.Next() {
					if err := c.Judge(e); err != nil || e.Verdict.Action != router.Continue {
						b.Error(err, e.Verdict)
						return
					}
				}
			})
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/100, "ns/call")
		})
	}
}

func TestCountingTakingAndGettingAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop what is put into it")
	}
	c := newTestHost(t, HostOptions{}).chain(nil, keeping("keep"))
	set("user:1234", content(128), 0).ask(t, c)
	for _, row := range keepBenches {
		if row.name == "kv_set" { // it copies the value
			continue
		}
		e := row.op.event()
		judge(t, c, e) // the first makes it
		if n := testing.AllocsPerRun(1000, func() {
			if c.Judge(e) != nil || e.Verdict.Failure != "" {
				t.Fatal(e.Verdict)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", row.name, n)
		}
	}
}
