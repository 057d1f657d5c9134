package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const policyFilter = "filters:\n  - {name: policy, plugin: policy.wasm, limits: {time: 200ms}}\n"

// renewed is a module that does the same as another.
func renewed(wasm string) string { return wasm + "\x00\x02\x01x" } // with an empty custom section

// guarded is a node with a filter in policy.wasm that agrees with everything, and
// has been asked 600 times.
func guarded(t *testing.T, rollbackOn string) (w *watched, file string) {
	t.Helper()
	w = startWatched(t, "config.yaml", "", func(dir string) {
		file = filepath.Join(dir, "policy.wasm")
		put(t, file, guest(t, "noop"))
		put(t, filepath.Join(dir, "config.yaml"), whole(noPoll+"rollback_on: "+rollbackOn+"\n"+policyFilter))
	})
	for range 12 {
		w.c.says50()
	}
	return w, file
}

// rolledBack sends messages until the node has gone back.
func (w *watched) rolledBack(t *testing.T, cause string) {
	t.Helper()
	series := fmt.Sprintf(`sluice_rollbacks_total{cause="%s"}`, cause)
	for end := time.Now().Add(patience); w.counter(series) == 0; {
		w.c.says50()
		if time.Now().After(end) {
			t.Fatal("the node does not go back")
		}
	}
}

// says50 sends many messages at once, and waits for their answers.
func (c *client) says50() {
	c.t.Helper()
	for range 50 {
		c.send(`{"type":"room_message","room":"a","content":1,"id":"1"}`)
	}
	for answers := 0; answers < 50; {
		e, err := c.read()
		done(c.t, err)
		if e.Event == "ack" || e.Event == "error" {
			answers++
		}
	}
}

func TestABadGenerationIsLeftByItselfAndNotLoadedAgain(t *testing.T) {
	for name, row := range map[string]struct{ guest, on, cause, why string }{
		"that traps":            {"trap", "{traps: 3}", "traps", "filter policy trapped on "},
		"that fails":            {"complain", "{failures: 1%, min_events: 20}", "failures", "filter policy failed on "},
		"that is slow":          {"busy", "{latency: 100us, min_events: 20}", "latency", "filter policy took "},
		"that refuses too much": {"deny", "{refusals: 5%, min_events: 20}", "refusals", "filter policy refused "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, file := guarded(t, row.on)
			renamed(t, file, guest(t, row.guest))
			w.reloads(t, 1, 0)
			if until := w.status(t).Trial; until.IsZero() {
				t.Error("the status does not say that the generation is on trial")
			}
			w.rolledBack(t, row.cause)
			if !w.c.accepted() || w.counter("sluice_generation") != 3 {
				t.Error("the generation before is not in force")
			}
			w.awaitLog(t, `"msg":"rolled back","trigger":"rollback_on","why":"`+row.why)
			s := w.status(t)
			if r := s.Rollback; r == nil || r.Trigger != "rollback_on" || r.Cause != row.cause || r.From != 2 || r.To != 1 || !strings.HasPrefix(r.Why, row.why) {
				t.Errorf("the status is %+v, the rollback %+v", s, s.Rollback)
			}
			if !s.Trial.IsZero() || s.Rollbacks[row.cause] != 1 {
				t.Errorf("the status is %+v", s)
			}
			if _, out, _ := w.command("status"); !strings.Contains(out, "by rollback_on, from generation 2 to 1, which is 3 since: "+row.why) {
				t.Errorf("sluice status prints %s", out)
			}

			looked := strings.Count(w.logText(), sameText)
			renamed(t, file, guest(t, row.guest))
			for end := time.Now().Add(patience); strings.Count(w.logText(), sameText) == looked; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("nobody has looked at the file")
				}
			}
			if w.counter("sluice_generation") != 3 {
				t.Error("what was gone back from was loaded again")
			}
			renamed(t, file, renewed(guest(t, "noop")))
			w.reloads(t, 2, 0)
			if w.counter("sluice_generation") != 4 {
				t.Error("the next file is not in force")
			}
		})
	}
}

// stands waits until the generation has stood its window.
func (w *watched) stands(t *testing.T, generation int) {
	t.Helper()
	w.awaitLog(t, fmt.Sprintf(`"msg":"a generation has stood its window","generation":%d,`, generation))
	if s := w.status(t); s.Generation != uint64(generation) || !s.Trial.IsZero() || s.Rollback != nil {
		t.Errorf("the status is %+v", s)
	}
}

func TestAGenerationThatIsNoWorseStays(t *testing.T) {
	w, file := guarded(t, "{window: 1s, traps: 1, failures: 1%, latency: 1ms, refusals: 1%, min_events: 20}")
	renamed(t, file, renewed(guest(t, "noop")))
	w.reloads(t, 1, 0)
	for range 100 {
		w.c.accepted()
	}
	w.stands(t, 2)
}

func TestAGenerationWithLittleTrafficStays(t *testing.T) {
	w, file := guarded(t, "{window: 1s, failures: 1%, latency: 1us, refusals: 1%, min_events: 20}")
	renamed(t, file, guest(t, "deny"))
	w.reloads(t, 1, 0)
	for range 19 {
		if w.c.accepted() {
			t.Error("the filter does not refuse")
		}
	}
	w.stands(t, 2)
}

func TestACanaryThatIsWorseThanTheVersionBesideItIsLeft(t *testing.T) {
	w, _ := guarded(t, "{traps: 3}")
	put(t, filepath.Join(w.dir, "new.wasm"), guest(t, "trap"))
	candidate := strings.Replace(policyFilter, "limits:", "candidate: {plugin: new.wasm, canary: 50%}, limits:", 1)
	renamed(t, w.file, whole(noPoll+"rollback_on: {traps: 3}\n"+candidate))
	w.reloads(t, 1, 0)
	var clients []*client
	for i := range 16 {
		clients = append(clients, w.dial(fmt.Sprintf("/ws?client_id=c%d", i)).join(fmt.Sprintf("r%d", i)))
	}
	w.c = clients[0]
	series := `sluice_rollbacks_total{cause="traps"}`
	for end := time.Now().Add(patience); w.counter(series) == 0; {
		for i, c := range clients {
			c.send(fmt.Sprintf(`{"type":"room_message","room":"r%d","id":"1","content":1}`, i))
			for e, err := c.read(); e.Event != "ack" && e.Event != "error"; e, err = c.read() {
				done(t, err)
			}
		}
		if time.Now().After(end) {
			t.Fatal("the node does not go back")
		}
	}
	if r := w.status(t).Rollback; r == nil || r.From != 2 || r.To != 1 || !strings.HasPrefix(r.Why, "the canary of filter policy trapped on ") {
		t.Errorf("the rollback is %+v", r)
	}
}

func TestABadCanaryWithNothingToGoBackToIsToldOfOnce(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "policy.wasm"), guest(t, "noop"))
	put(t, filepath.Join(dir, "new.wasm"), guest(t, "trap"))
	file := filepath.Join(dir, "config.yaml")
	put(t, file, whole("rollback_on: {traps: 1, window: 1s}\n"+strings.Replace(policyFilter, "limits:", "candidate: {plugin: new.wasm, canary: 100%}, limits:", 1)))
	w := &watched{reloadable: &reloadable{running: run(t, nil, io.Discard, "--config", file), file: file}, dir: dir}
	w.c = w.dial("/ws?client_id=ann").join("a")
	w.c.accepted()
	const told = "there is no generation to go back to without it: take it out of the configuration"
	w.awaitLog(t, told)
	w.c.accepted()
	put(t, filepath.Join(dir, "policy.wasm"), renewed(guest(t, "noop")))
	w.reloads(t, 1, 0)
	// The canary is in the generation before too: nothing is gained by going back.
	w.c.accepted()
	w.awaitLog(t, "a generation has stood its window")
	if n := strings.Count(w.logText(), told); n != 1 {
		t.Errorf("it is told %d times", n)
	}
	if s := w.status(t); s.Generation != 2 || s.Rollback != nil {
		t.Errorf("the node has undone a change that has nothing to do with the canary: %+v", s)
	}
}

func TestWhatMakesNoSenseInRollbackOnIsRefusedWithItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"rollback_on: {}":                                   "config.yaml:1: rollback_on: says nothing on which to go back; write one of traps: 3",
		"rollback_on: {window: 1m}":                         "config.yaml:1: rollback_on: says nothing",
		"rollback_on:\n  traps: 3\n  window: 10ms":          "config.yaml:3: rollback_on.window: 10ms is out of range; it must be between 1s and 1h0m0s",
		"rollback_on:\n  traps: 3\n  window: 2h":            "config.yaml:3: rollback_on.window: 2h0m0s is out of range",
		"rollback_on:\n  traps: 3\n  min_events: 0":         "config.yaml:3: rollback_on.min_events: must be at least 1",
		"rollback_on:\n  failures: 1":                       `config.yaml:2: rollback_on.failures: "1" is not a percentage`,
		"rollback_on:\n  refusals: 101%":                    "config.yaml:2: rollback_on.refusals: 101% is not between 0% and 100%",
		"rollback_on:\n  latency: 200":                      "config.yaml:2: rollback_on.latency: 200 has no unit",
		"rollback_on:\n  traps: -1":                         "config.yaml:2: rollback_on.traps: -1 is negative",
		"rollback_on:\n  trap: 3":                           "did you mean rollback_on.traps?",
		"rollback_on: {traps: 3}":                           "",
		"rollback_on: {refusals: 0.5%, latency: 200us}":     "",
		"rollback_on: {failures: 1%, window: 1s, traps: 0}": "",
	} {
		file := filepath.Join(t.TempDir(), "config.yaml")
		done(t, os.WriteFile(file, []byte(text+"\n"), 0o600))
		_, err := load(sources{File: file})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
