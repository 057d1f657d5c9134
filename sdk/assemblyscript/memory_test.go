package assemblyscript_test

import (
	"fmt"
	"strings"
	"testing"

	"sluice/router"
)

// flat runs so many events through a guest, and fails if its memory grows after a
// twentieth of them.
func flat(t *testing.T, g guest, all int, next func(i int, e *router.Event)) {
	t.Helper()
	if raceEnabled {
		all = 20_000
	}
	e := message("")
	var settled uint64
	for i := range all {
		next(i, e)
		if v := g.judge(t, e); v.Failure != "" {
			t.Fatalf("event %d: failure %s", i, v.Failure)
		}
		if i == all/20 {
			settled = g.memory()
		}
	}
	if now := g.memory(); now != settled {
		t.Errorf("the memory went from %d to %d bytes over %d events", settled, now, all)
	}
	t.Logf("%d KiB after %d events", settled>>10, all)
}

func TestHelloTakesNoMoreMemoryHoweverManyMessagesItSees(t *testing.T) {
	g := load(t, helloWasm, `{"word":"spam"}`, "log")
	contents := [][]byte{[]byte(`"hi"`), []byte(`"` + strings.Repeat("x", 3000) + `"`), []byte(`"spam"`), []byte(`"` + strings.Repeat("y", 7000) + `"`)}
	flat(t, g, 1_000_000, func(i int, e *router.Event) { e.Payload, e.Seq = contents[i%len(contents)], uint64(i+1) })
}

func TestTheCollectorKeepsTheMemoryOfAFilterThatMakesStringsFlat(t *testing.T) {
	g := load(t, compile(t, "testdata", "garbage.ts", "-O3", "--runtime", "incremental"), `{}`, "log")
	e := message(`"a longer tale"`)
	for i, want := range []string{`{"longest":"longer","before":""}`, `{"longest":"longer","before":"after longer"}`} {
		if v := g.judge(t, e); string(v.Payload) != want {
			t.Fatalf("event %d: got %+v %s, want %s", i, v, v.Payload, want)
		}
	}
	var contents [][]byte
	for i := range 200 {
		contents = append(contents, fmt.Appendf(nil, `"%d words of %s"`, i, strings.Repeat("w", 2*i)))
	}
	flat(t, g, 200_000, func(i int, e *router.Event) { e.Payload, e.Seq = contents[i%len(contents)], uint64(i+1) })
}

func TestEventsOfAnySizeFindRoom(t *testing.T) {
	for _, runtime := range []string{"incremental", "minimal", "stub"} {
		t.Run(runtime, func(t *testing.T) {
			g := load(t, compile(t, "examples/hello", "--runtime", runtime), `{"word":"spam"}`, "log")
			for round := range 2 {
				for _, n := range []int{10, 5_000, 70_000, 300_000, 10, 3 << 20, 2_000} {
					if v := g.judge(t, message(`"`+strings.Repeat("x", n)+`spam"`)); v.Code != 422 || v.Failure != "" {
						t.Errorf("round %d, %d bytes and the word: got %+v", round, n, v)
					}
				}
			}
		})
	}
}
