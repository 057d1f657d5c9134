package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/admin"
)

func TestARollbackPutsTheGenerationBeforeIntoForceWithItsConfiguration(t *testing.T) {
	w, file := policed(t, guest(t, "noop"))
	if code, _, errs := w.rollback(); code != 1 || !strings.Contains(errs, "there is no generation to go back to: nothing was reloaded") {
		t.Errorf("with nothing to go back to: exit %d: %s", code, errs)
	}
	bad := strings.Replace(whole(noPoll+"rooms: [{match: a, presence: true}]\nfilters:\n  - {name: policy, plugin: policy.wasm}\n"), "level: debug", "level: error", 1)
	renamed(t, file, guest(t, "deny"))
	w.reloads(t, 1, 0)
	renamed(t, w.file, bad)
	w.reloads(t, 2, 0)
	renamed(t, file, guest(t, "loop_configure")) // what is gone back to needs no file
	w.reloads(t, 2, 1)
	if s := w.status(t); s.Generation != 3 || s.Previous == nil || *s.Previous != 2 {
		t.Errorf("the status is %+v", s)
	}
	if status, body := w.rollbackFrom(t, 2); status != http.StatusUnprocessableEntity || !strings.Contains(body, "generation 2 is not in force any more") {
		t.Errorf("from another generation than is in force: %d %s", status, body)
	}
	code, out, errs := w.rollback("--why", "it refuses everyone")
	if code != 0 || out != "generation 4 is in force\n" {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	w.awaitLog(t, `"msg":"rolled back","trigger":"api","why":"it refuses everyone","cause":"asked","from":3,"to":2,"generation":4`) // at warn: the level went back too
	if e := w.c.says("1"); e.Code != "forbidden" || e.Filter != "policy" {
		t.Errorf("generation 2 does not judge: %+v", e)
	}
	s := w.status(t)
	if s.Generation != 4 || s.Previous != nil || s.Rollbacks["asked"] != 1 || s.Rollback == nil || s.Rollback.From != 3 || s.Rollback.To != 2 || s.Rollback.Generation != 4 || s.Rollback.Why != "it refuses everyone" {
		t.Errorf("the status is %+v, the rollback %+v", s, s.Rollback)
	}
	if _, out, _ := w.command("status"); !strings.Contains(out, "1 rollback\n") || !strings.Contains(out, "from generation 3 to 2, which is 4 since: it refuses everyone") {
		t.Errorf("the status is %s", out)
	}
	if c := w.counters(`sluice_rollbacks_total{cause="asked"}`, "sluice_generation_previous", "sluice_generation"); c[0] != 1 || c[1] != 0 || c[2] != 4 {
		t.Errorf("the metrics say %v", c)
	}
	if code, _, _ := w.rollback(); code != 1 {
		t.Error("one can go back twice")
	}

	// The files say what was gone back from: touching them is no reason to read them.
	before := strings.Count(w.logText(), sameText)
	renamed(t, w.file, bad)
	for end := time.Now().Add(patience); strings.Count(w.logText(), sameText) == before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody has looked at the file")
		}
	}
	if g := w.counter("sluice_generation"); g != 4 {
		t.Errorf("generation %d is in force", g)
	}
	renamed(t, file, guest(t, "noop"))
	w.reloads(t, 3, 1)
	if !w.c.accepted() || w.counter("sluice_generation") != 5 {
		t.Error("the next change is not in force")
	}
}

func (r *reloadable) rollback(args ...string) (code int, stdout, stderr string) {
	return r.command(append([]string{"rollback"}, args...)...)
}

func (n *running) rollbackFrom(t *testing.T, generation int) (status int, body string) {
	t.Helper()
	return postJSON(t, "http://"+n.admin+"/api/rollback", fmt.Sprintf(`{"from": %d}`, generation))
}

func TestReloadingTheSameTwiceKeepsTheWayBack(t *testing.T) {
	n := startReloadable(t, sizeLimit(10))
	c := n.dial("/ws?client_id=ann").join("a")
	n.write(t, sizeLimit(100))
	for range 3 {
		if status, body := n.post(t); status != http.StatusOK {
			t.Fatal(status, body)
		}
	}
	if code, out, errs := n.rollback(); code != 0 || out != "generation 5 is in force\n" {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	if e := c.says(`"` + strings.Repeat("x", 18) + `"`); e.Filter != "size" || e.Code != "too_large" {
		t.Errorf("the limit of before is not in force: %+v", e)
	}
}

func TestWhatAGenerationBeforeKeepsIsOnlyWhatHasChanged(t *testing.T) {
	n := startReloadable(t, sizeLimit(10)+"  - {name: same, plugin: \"builtin:validate\", config: {schema: {}}}\n")
	created := func() int {
		return n.counter(`sluice_filter_instances_created_total{filter="same",role="active",version="` + n.status(t).Filters[1].Version + `"}`)
	}
	before := created()
	n.write(t, sizeLimit(100)+"  - {name: same, plugin: \"builtin:validate\", config: {schema: {}}}\n")
	for _, command := range []string{"reload", "rollback"} {
		if code, _, errs := n.command(command); code != 0 {
			t.Fatal(errs)
		}
		if c := n.dial("/ws?client_id=" + command).join("a"); c.accepted() != (command == "reload") {
			t.Error(command, "is not in force")
		}
	}
	if after := created(); after != before {
		t.Errorf("the filter that did not change has %d instances, and had %d", after, before)
	}
}

func TestARollbackIsGuardedLikeAReload(t *testing.T) {
	n := startReloadable(t, sizeLimit(10))
	url := "http://" + n.admin + "/api/rollback"
	for body, want := range map[string]int{
		"":                        http.StatusConflict,
		"{}":                      http.StatusConflict,
		`{"why": "x", "from": 1}`: http.StatusConflict,
		`{"from": -1}`:            http.StatusBadRequest,
		`{"generation": 1}`:       http.StatusBadRequest,
		`{"why": "` + strings.Repeat("x", 501) + `"}`: http.StatusBadRequest,
	} {
		if status, answer := postJSON(t, url, body); status != want {
			t.Errorf("%.40s: %d %s, want %d", body, status, answer, want)
		}
	}
	if status, _ := n.get(n.admin + "/api/rollback"); status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", status)
	}
}

func TestConnectionStateOutlivesReloadsAndIsMigratedByTheFilter(t *testing.T) {
	w, file := policed(t, guest(t, "tally1"))
	bob := w.dial("/ws?client_id=bob").join("a")
	says := func(want string) {
		t.Helper()
		w.c.says("1")
		if e := bob.await("chat"); string(e.Content) != `"`+want+`"` {
			t.Fatalf("got %s, want %s", e.Content, want)
		}
	}
	says("1:1")
	says("1:2")
	renamed(t, file, guest(t, "tally2"))
	w.reloads(t, 1, 0)
	says("2:3") // it takes over what version 1 kept
	says("2:4")
	renamed(t, w.file, whole(noPoll+"filters:\n  - {name: policy, plugin: policy.wasm, config: {other: true}}\n"))
	w.reloads(t, 2, 0)
	says("2:5") // another instance, the same state
	renamed(t, file, guest(t, "tally3"))
	w.reloads(t, 3, 0)
	says("3:1") // it drops what others kept
	if code, _, errs := w.rollback(); code != 0 {
		t.Fatal(errs)
	}
	// Version 2 knows nothing of version 3, and traps: what a filter does with the
	// state of a later one is its own to say.
	if e := w.c.says("1"); e.Event != "error" || e.Code != "unavailable" {
		t.Errorf("got %+v", e)
	}
	if w.status(t).Filters[0].Failures["trap"] == 0 {
		t.Error("the failure is not counted")
	}
}

func TestCountersAndValuesOutliveReloadsAndRollbacks(t *testing.T) {
	config := "filters:\n  - {name: probe, plugin: probe.wasm, headers: [x-user], capabilities: [log, now, random, metric_add, counter_add, bucket_take, kv_get, kv_set]}\n"
	probe, err := os.ReadFile("../../sdk/conformance/testdata/probe.wasm")
	done(t, err)
	w := &watched{dir: t.TempDir(), reloadable: &reloadable{}}
	w.file = filepath.Join(w.dir, "config.yaml")
	put(t, filepath.Join(w.dir, "probe.wasm"), string(probe))
	put(t, w.file, whole(noPoll+config))
	w.running = run(t, nil, io.Discard, "--config", w.file)
	enter := func(user string) *client {
		conn, response, body := w.knock("/ws", http.Header{"X-User": {user}})
		if conn == nil {
			t.Fatal(response, body)
		}
		c := &client{t, conn}
		c.await("welcome")
		c.send(`{"type":"join_room","room":"chat:a"}`)
		c.await("joined")
		return c
	}
	ann, bob := enter("ann"), enter("bob")
	ask := func(what, want string) {
		t.Helper()
		ann.send(`{"type":"room_message","room":"chat:a","id":"1","content":"` + what + `"}`)
		if e := bob.await("chat"); string(e.Content) != want {
			t.Fatalf("%s: got %s, want %s", what, e.Content, want)
		}
	}
	ask("get", "null")
	ask("set", "0")
	ask("counter", "1")
	ask("metric", "0")
	renamed(t, filepath.Join(w.dir, "probe.wasm"), withFixtures(t, string(probe), "filter: {capabilities: [log, now, random, metric_add, counter_add, bucket_take, kv_get, kv_set], headers: [x-user]}\n"+
		"tests:\n  - {name: starts anew, events: [{message: counter, expect: {payload: 1}}, {message: get, expect: {payload: null}}]}\n"))
	w.reloads(t, 1, 0)
	ask("counter", "2") // the fixtures have counted for themselves
	ask("get", `"v"`)
	renamed(t, w.file, whole(noPoll+strings.Replace(config, "x-user]", "x-user, x-more]", 1)))
	w.reloads(t, 2, 0)
	ask("counter", "3")
	if code, _, errs := w.rollback(); code != 0 {
		t.Fatal(errs)
	}
	ask("counter", "4")
	ask("get", `"v"`)
	ask("metric", "0")
	if sum := w.counter(`sluice_filter_metric_total{filter="probe",name="probed"}`); sum != 4 {
		t.Errorf("the metric is %d, want 4", sum)
	}
}

func TestTheStatusShowsDigestAgeAndCallsInFlight(t *testing.T) {
	w := startWatched(t, "config.yaml", "", func(dir string) {
		put(t, filepath.Join(dir, "loop.wasm"), guest(t, "loop_message"))
		put(t, filepath.Join(dir, "config.yaml"), whole(noPoll+"filters:\n  - {name: loop, plugin: loop.wasm, limits: {time: 1s}}\n"))
	})
	f := w.status(t).Filters[0]
	if len(f.Digest) != 64 || !strings.HasPrefix(f.Digest, f.Version) || f.InFlight != 0 {
		t.Errorf("got %+v", f)
	}
	_, metrics := w.get(w.admin + "/metrics")
	if !strings.Contains(metrics, `sluice_filter_in_flight{filter="loop",role="active",version="`+f.Version+`"} 0`) || !strings.Contains(metrics, "sluice_filter_loaded_timestamp_seconds") {
		t.Error("the metrics lack calls in flight or the age")
	}
	w.c.send(`{"type":"room_message","room":"a","id":"1","content":"x"}`)
	w.inFlight(t, 1)
	w.c.await("error")
	w.inFlight(t, 0)
	if _, out, _ := w.command("status"); !strings.Contains(out, "IN FLIGHT") || !strings.Contains(out, f.Version+" is sha256:"+f.Digest) {
		t.Errorf("the status is %s", out)
	}
}

// inFlight waits until so many calls of the first filter are under way.
func (n *running) inFlight(t *testing.T, want int) {
	t.Helper()
	for end := time.Now().Add(patience); n.status(t).Filters[0].InFlight != want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d calls are not in flight", want)
		}
	}
}

// asking is a context that tells when somebody waits for its end.
type asking struct {
	context.Context
	waits func()
}

func (a asking) Done() <-chan struct{} {
	a.waits()
	return a.Context.Done()
}

func TestARollbackThatWaitedForAReloadDoesNotGoBackToWhatItWasAskedToLeave(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	configure := func(limit int) { put(t, file, whole(sizeLimit(limit))) }
	configure(10)
	from := sources{File: file, Looks: make(looks)}
	l, err := load(from)
	if err != nil {
		t.Fatal(err)
	}
	log, level := newLogger(l, io.Discard)
	n, err := newNode(t.Context(), l, log)
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	r := newReloads(n, from, level)
	n.reloads.Store(r)
	defer r.stop()
	configure(20)
	if _, err := r.Reload(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	done, err := r.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	waiting, answer := make(chan struct{}), make(chan error)
	go func() { // is asked to leave generation 2, while generation 3 is being made
		_, err := r.Rollback(asking{t.Context(), sync.OnceFunc(func() { close(waiting) })}, admin.Rollback{Trigger: "test"})
		answer <- err
	}()
	<-waiting
	configure(30)
	_, err = r.reload("test")
	done()
	if err != nil {
		t.Fatal(err)
	}
	if err := <-answer; err == nil || !strings.Contains(err.Error(), "generation 2 is not in force any more") {
		t.Errorf("got %v", err)
	}
	if g := n.router.Generation().Number; g != 3 {
		t.Errorf("generation %d is in force", g)
	}
}
