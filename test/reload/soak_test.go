package reload_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// soakTime is for how long the hostile soak runs. Without the variable, which
// make soak sets, both soaks are left out.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SOAK_TIME")
	if text == "" {
		t.Skip("run: make soak")
	}
	d, err := time.ParseDuration(text)
	done(t, err)
	return d
}

// setting is a number of the environment, for a run that is shorter than the real one.
func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	done(t, err)
	return n
}

func TestSoakAThousandGenerationsUnderLoad(t *testing.T) {
	soakTime(t)
	count, connections, perSecond := setting(t, "SOAK_GENERATIONS", 1000), setting(t, "SOAK_CONNECTIONS", 2000), setting(t, "SOAK_MESSAGES", 5000)
	n := startNode(t, "reload: {watch: false}\n", stamping(1))
	k := newChecker()
	k.known[1].Store(true)
	c := gather(t, n.Clients, "good", connections, 2, perSecond, k)
	last := n.generations(k, 10, 5, 1, 0)
	was := n.holds()

	// Half of the quiet before and half after, so that a machine that is busy with
	// something else is so for both.
	quiet, busy := new(histogram), new(histogram)
	quietTime := time.Duration(setting(t, "SOAK_QUIET_SECONDS", 60)) * time.Second / 2
	k.times.Store(quiet)
	time.Sleep(quietTime)
	k.times.Store(busy)
	begun, sent := time.Now(), c.sent.Load()
	n.generations(k, count, 10, last, time.Duration(setting(t, "SOAK_PAUSE_MS", 100))*time.Millisecond)
	took := time.Since(begun)
	sent = c.sent.Load() - sent
	k.times.Store(quiet)
	time.Sleep(quietTime)
	c.hush()
	c.settle()
	if faults := k.report(); faults != "" {
		t.Error(faults)
	}
	n.backTo(was)
	m := n.Metrics()
	t.Logf("%d connections, %d messages sent; %d candidates in %s, %.0f in force and %.0f refused in all; %.0f messages a second meanwhile; %.0f events judged anew",
		connections, c.sent.Load(), count, took.Round(time.Second), m["sluice_generation"]-1, float64(count/10+2), float64(sent)/took.Seconds(), m["sluice_events_rejudged_total"])
	t.Logf("from sending to delivery, without reloads: %s", quiet)
	t.Logf("from sending to delivery, with reloads:    %s; p99 is %.2f times as long", busy,
		float64(busy.quantile(0.99))/float64(quiet.quantile(0.99)))
}

// hostile adds filters that do all that they must not, for rooms of their own.
func hostile(number int, plugin string) string {
	return stamping(number) +
		"  - {name: moody, plugin: " + plugin + ", rooms: [\"bad:*\"], config: {n: " + strconv.Itoa(number) + "}, limits: {time: 2ms, memory: 1MiB}}\n" +
		"  - {name: leak, plugin: leak.wasm, rooms: [\"bad:*\"], limits: {time: 2ms, memory: 4MiB}}\n"
}

// torment sends the hostile filters what they do their worst on, through connections that
// come and go, until ctx ends.
func torment(ctx context.Context, address string, index int) {
	for ctx.Err() == nil {
		conn, _, err := websocket.Dial(ctx, fmt.Sprintf("ws://%s/ws?client_id=bad%d", address, index), nil)
		if err != nil {
			continue
		}
		write := func(frame string) bool { return conn.Write(ctx, websocket.MessageText, []byte(frame)) == nil }
		room := fmt.Sprintf("bad:%d", index)
		ok := write(`{"type":"join_room","room":"` + room + `"}`)
		for i := 0; ok && i < 40; i++ {
			what := []string{"1", "true", "[]", "null"}[i%4] // t traps; the others pass to leak
			if i%10 == 9 {
				what = `"` + string("lrgp"[i/10%4]) + `"`
			}
			if ok = write(`{"type":"room_message","room":"` + room + `","content":` + what + `,"id":1}`); i%13 == 12 {
				ok = ok && write(`{"type":`)
			}
			for answered := false; ok && !answered; {
				_, frame, err := conn.Read(ctx)
				ok = err == nil
				answered = ok && len(frame) > 12 && (string(frame[:13]) == `{"event":"ack` || string(frame[:15]) == `{"event":"error`)
			}
		}
		conn.CloseNow()
	}
}

// hostileReloads replaces the filters, now and then with broken ones, with ones that are
// as hostile under another digest, and with ones that the node goes back from by itself.
func (n *node) hostileReloads(ctx context.Context, k *checker) (made int) {
	number := 1
	for i := 0; ctx.Err() == nil; i++ {
		switch {
		case i%5 == 4:
			want := n.broken(i/5, maxGeneration-1)
			if status, body := n.reload(); status != http.StatusUnprocessableEntity {
				n.t.Errorf("a broken candidate: %d %s, want %s", status, body, want)
			}
		default:
			number = number%(maxGeneration-2) + 1
			n.put("moody.wasm", append(guest(n.t, "../../plugins/testdata/moody.wasm"), 0, 2, 1, byte('a'+i%26)))
			text := hostile(number, "moody.wasm")
			if i%7 == 3 { // traps on each message: it is gone back from
				n.put("trap.wasm", guest(n.t, "../../plugins/testdata/trap.wasm"))
				text = "rollback_on: {traps: 20, window: 5s}\n" + hostile(number, "trap.wasm")
			}
			k.known[number].Store(true)
			n.configure(text)
			if status, body := n.reload(); status != http.StatusOK {
				n.t.Errorf("%d %s", status, body)
			}
			made++
		}
		select {
		case <-ctx.Done():
		case <-time.After(250 * time.Millisecond):
		}
	}
	return made
}

func TestSoakHostileFiltersAndReloadsBesideGoodTraffic(t *testing.T) {
	length := soakTime(t)
	n := startNode(t, "reload: {watch: false}\n", stamping(1))
	n.put("leak.wasm", guest(t, "../../plugins/testdata/leak.wasm"))
	k := newChecker()
	k.lenient = true
	k.known[1].Store(true)
	// A node goes back from some generations: their numbers are then those of before.
	k.back = true
	c := gather(t, n.Clients, "good", 200, 4, setting(t, "SOAK_GOOD_MESSAGES", 300), k)

	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var hostiles sync.WaitGroup
	for i := range 8 {
		hostiles.Go(func() { torment(ctx, n.Clients, i) })
	}
	made := 0
	reloads := make(chan struct{})
	go func() {
		defer close(reloads)
		made = n.hostileReloads(ctx, k)
	}()
	warm, samples := time.After(length/5), []holding(nil)
	<-warm
	for tick := time.NewTicker(length / 50); ctx.Err() == nil; {
		select {
		case <-tick.C:
			samples = append(samples, n.holds())
		case <-ctx.Done():
			tick.Stop()
		}
	}
	hostiles.Wait()
	<-reloads
	m := n.Metrics()
	// Twice, so that nothing hostile is kept to go back to.
	for _, number := range []int{maxGeneration - 3, maxGeneration - 2} {
		k.known[number].Store(true)
		n.configure(stamping(number))
		if status, body := n.reload(); status != http.StatusOK {
			t.Fatal(status, body)
		}
	}
	c.hush()
	c.settle()
	if faults := k.report(); faults != "" {
		t.Error(faults)
	}
	first, last := mean(samples[:len(samples)/2]), mean(samples[len(samples)/2:])
	if grown := last.rss - first.rss; grown > 0.1*first.rss+8<<20 {
		t.Errorf("resident memory grows: %.1f MiB in the first half after the warm-up, %.1f in the second", first.rss/(1<<20), last.rss/(1<<20))
	}
	final := n.holds()
	until(t, "the connections of the hostile clients have ended", func() bool { final = n.holds(); return n.Metrics()["sluice_connections"] == 200 })
	if final.instances != 6 || final.goroutines > 200+60 || final.fd > 200+40 || final.virtual > first.virtual+256<<20 {
		t.Errorf("at the end the node holds %s", final)
	}
	t.Logf("%s; %d generations put into force, %.0f reloads refused or made, %.0f rolled back; %.0f failures of filters; %d good messages, of which %d were refused; %s",
		length, made, m["sluice_reloads_total"], m["sluice_rollbacks_total"], m["sluice_filter_failures_total"], c.sent.Load(), k.refused.Load(), k.times.Load())
	t.Logf("first half after the warm-up: %s", first)
	t.Logf("second half:                  %s", last)
	t.Logf("at the end:                   %s", final)
}

func mean(all []holding) (m holding) {
	for _, h := range all {
		m.rss += h.rss / float64(len(all))
		m.virtual += h.virtual / float64(len(all))
		m.instances += h.instances
		m.goroutines += h.goroutines
		m.fd += h.fd
	}
	m.instances, m.goroutines, m.fd = m.instances/len(all), m.goroutines/len(all), m.fd/len(all)
	return m
}
