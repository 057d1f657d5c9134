package capture

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/plugins"
	"sluice/plugins/filters"
	"sluice/plugins/keys"
	"sluice/plugins/lookup"
	"sluice/router"
)

const verifySecret = "planted-verification-secret-0123456789"

// keepEvent is a call that keep.wat is told to make: 0 metric_add, 1 counter_add, 2
// bucket_take, 3 kv_get, 4 kv_set.
func keepEvent(op int, key, value string, a, b, c int64) *router.Event {
	p := make([]byte, 40)
	le := binary.LittleEndian
	le.PutUint32(p, uint32(op))
	le.PutUint32(p[4:], 1)
	le.PutUint64(p[8:], uint64(a))
	le.PutUint64(p[16:], uint64(b))
	le.PutUint64(p[24:], uint64(c))
	e := message("")
	e.Payload, e.User, e.Target = p, key, value
	return e
}

// everything records events of filters that use all that the host offers.
func everything(t *testing.T, o Options, goProbe string) (names []string) {
	t.Helper()
	c := start(t, o)
	answers := 0
	n := newNode(t, c, plugins.HostOptions{Builtins: filters.FS, Lookup: func(string, *router.Event) lookup.Result {
		answers++
		switch answers % 3 {
		case 0:
			return lookup.Result{Status: lookup.Missed}
		case 1:
			return lookup.Result{Status: lookup.Found, Value: fmt.Appendf(nil, `{"n":%d}`, answers)}
		}
		return lookup.Result{Status: lookup.Failed, Cause: "timeout"}
	}})
	looks := plugins.Spec{
		Name: "lookup", Plugin: testdata + "lookup.wasm",
		Lookup: &lookup.Spec{HTTP: &lookup.HTTP{URL: "https://127.0.0.1:1/"}, OnFailure: lookup.Pass},
	}
	capable := plugins.Spec{Name: "capable", Plugin: testdata + "capable.wasm", Capabilities: []string{"log", "now", "random"}}
	chain := n.chain(capable, looks, plugins.Spec{Name: "moody", Plugin: testdata + "moody.wasm"})
	states := new([]router.State)
	for i := range 60 {
		e := message(fmt.Sprintf(`{"text": "message %d <&>"}`, i))
		e.Seq, e.States = uint64(i+1), states
		judge(t, chain, e)
	}
	keeps := n.chain(plugins.Spec{
		Name: "keep", Plugin: testdata + "keep.wasm", StateBytes: plugins.MaxState,
		Capabilities: []string{"metric_add", "counter_add", "bucket_take", "kv_get", "kv_set"},
	})
	// The node has counted before, which the stand-ins of a replay have not.
	for i := range 4 {
		if _, err := n.Space("keep").CounterAdd(fmt.Appendf(nil, "k%d", i), 100, 0); err != nil {
			t.Fatal(err)
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		op := i % 5
		e := keepEvent(op, fmt.Sprintf("k%d", rnd.IntN(4)), fmt.Sprintf("value %d \xff", i), int64(rnd.IntN(3)), 5, 1)
		if op == 3 || op == 4 {
			e = keepEvent(op, "key", fmt.Sprintf("value %d \xff", i), int64(rnd.IntN(40)), 0, 0)
		}
		judge(t, keeps, e)
	}
	verify := n.chain(plugins.Spec{
		Name: "verify", Plugin: testdata + "verify.wasm", Keys: []keys.Spec{{Alg: "HS256", Secret: keys.NewSecret(verifySecret)}},
	})
	for i := range 20 {
		text := fmt.Sprint(i)
		mac := hmac.New(sha256.New, []byte(verifySecret))
		mac.Write([]byte(text))
		signature := mac.Sum(nil)
		signature[0] += byte(i % 2) // every second one is forged
		e := message(text)
		e.Kind, e.User, e.Room, e.Target = router.KindDirect, "HS256", "", string(signature)
		judge(t, verify, e)
	}
	limited := n.chain(plugins.Spec{Name: "ratelimit", Plugin: "builtin:ratelimit", Config: json.RawMessage(`{"rules":[{"per":"user","burst":3,"refill_per_min":1}]}`)})
	for range 10 {
		judge(t, limited, message(`"again"`))
	}
	chains := []*plugins.Chain{chain, keeps, verify, limited}
	names = []string{"capable", "lookup", "moody", "keep", "verify", "ratelimit"}
	if goProbe != "" {
		names = append(names, "go")
		chains = append(chains, goes(t, n, goProbe))
	}
	for _, chain := range chains {
		chain.Retire()
	}
	c.Close()
	if s := c.Stats(); s.Overflowed != 0 || s.Ended != EndStopped {
		t.Fatalf("%+v", s)
	}
	return names
}

// goes has events judged by the probe in Go, whose runtime asks WASI for the time
// and for random bytes.
func goes(t *testing.T, n *node, module string) *plugins.Chain {
	t.Helper()
	chain := n.chain(plugins.Spec{Name: "go", Plugin: module, Capabilities: plugins.Capabilities(), StateBytes: 4096, Time: plugins.MaxTime})
	for _, word := range []string{"random", "now", "counter", "bucket", "get", "set", "get", "deny", "drop", "fail", "close", "reroute", "x", "metric"} {
		e := message(`"` + word + `"`)
		e.Time = time.Now().UnixNano()
		judge(t, chain, e)
	}
	return chain
}

func buildGo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "probe.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", path, "sluice/sdk/conformance/testdata/probe_go")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func modules(t *testing.T, path string) map[string]string {
	t.Helper()
	_, r := events(t, path)
	out := make(map[string]string)
	for _, s := range r.Filters() {
		out[s.Name] = testdata + s.Name + ".wasm"
	}
	out["ratelimit"] = "builtin:ratelimit"
	return out
}

func TestAReplayAgainstTheRecordedModuleGivesNoDifference(t *testing.T) {
	o := options(t)
	module := buildGo(t)
	names := everything(t, o, module)
	paths := modules(t, o.File)
	paths["go"] = module
	// Without what the host answered, the same modules answer otherwise: what is
	// compared is not always equal.
	deaf := rewrite(t, o.File, func(e *Event) {
		for i := range e.Asked {
			e.Asked[i].Host = nil
			e.Asked[i].LookupStatus, e.Asked[i].Lookup = 0, nil
		}
	})
	strange := rewrite(t, o.File, func(e *Event) {
		for i := range e.Asked {
			for j := range e.Asked[i].Host {
				e.Asked[i].Host[j].Asked++
			}
		}
	})
	r := replayed(t, strange, ReplayOptions{Old: paths["keep"], New: paths["keep"], Filter: "keep"})
	if r.OldDiverged != r.Questions {
		t.Errorf("answers to other questions are taken: %+v", figures(r))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			ro := ReplayOptions{Old: paths[name], New: paths[name], Filter: name, Show: 3, Builtins: filters.FS}
			r := replayed(t, o.File, ro)
			if r.Differ != 0 || r.Reproduced != r.Questions || r.OldDiverged != 0 || r.NewDiverged != 0 || !r.Recorded || r.Incomplete != 0 || r.Cut {
				t.Errorf("%+v", figures(r))
			}
			r = replayed(t, deaf, ro)
			if r.Differ != 0 || r.OldDiverged != r.NewDiverged {
				t.Errorf("stand-ins differ from one side to the other: %+v", figures(r))
			}
			if name != "moody" && name != "ratelimit" && (r.Reproduced == r.Questions || name != "lookup" && r.OldDiverged == 0) {
				t.Errorf("without the host's answers all is the same: %+v", figures(r))
			}
		})
	}
}

func TestReplaysOfTheSameCaptureHaveTheSameReport(t *testing.T) {
	o := options(t)
	everything(t, o, "")
	var texts [2]string
	for i := range texts {
		// capable asks for the time and for random bytes where keep does not.
		r := replayed(t, o.File, ReplayOptions{Old: testdata + "keep.wasm", New: testdata + "capable.wasm", Filter: "keep", Show: 1000})
		if r.Differ != r.Questions || r.NewDiverged != r.Questions || r.OldDiverged != 0 {
			t.Errorf("%+v", figures(r))
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	if texts[0] != texts[1] {
		t.Errorf("%s\n%s", texts[0], texts[1])
	}
}

// helloCapture records what hello says to some messages.
func helloCapture(t *testing.T, o Options, config string, texts ...string) {
	t.Helper()
	c := start(t, o)
	n := newNode(t, c, plugins.HostOptions{})
	chain := n.chain(plugins.Spec{Name: "hello", Plugin: hello, Capabilities: []string{"log"}, Config: json.RawMessage(config)})
	states := new([]router.State)
	for i, text := range texts {
		e := message(text)
		e.Seq, e.States = uint64(i+1), states
		judge(t, chain, e)
	}
	chain.Retire()
	c.Close()
}

func TestACandidateIsComparedVerdictByVerdict(t *testing.T) {
	o := options(t)
	helloCapture(t, o, `{"word":"spam"}`, `"buy spam"`, `"buy ham"`, `"hello"`, `{"a":"spam and ham"}`)
	r := replayed(t, o.File, ReplayOptions{Old: hello, New: hello, NewConfig: json.RawMessage(`{"word":"ham"}`), Show: 10})
	want := map[string]int{"deny 422 continue": 1, "continue deny 422": 1, "continue continue": 1, "deny 422 deny 422": 1}
	for _, p := range r.Verdicts {
		if want[p.Old+" "+p.New] != p.Count {
			t.Errorf("%+v", p)
		}
		delete(want, p.Old+" "+p.New)
	}
	if len(want) != 0 || r.Differ != 2 || r.Questions != 4 || r.Reproduced != 4 || r.Fields["verdict"] != 2 {
		t.Errorf("%+v; not seen: %v", figures(r), want)
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"filter hello: 4 questions, 2 differences\n",
		`  #1 message in "chat:lobby", connection 7 event 1: deny 422 -> continue (verdict, reason, payload, state)`,
		"payload: 10 bytes, now 28, at the whole",
	} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("no %q in\n%s", line, text.String())
		}
	}
	for _, quoted := range []string{"buy", "welcome"} {
		if strings.Contains(text.String(), quoted) {
			t.Errorf("%q is quoted:\n%s", quoted, text.String())
		}
	}
}

func TestAReplayOfAModuleThatFailsOrHasNoSuchHookSaysSo(t *testing.T) {
	o := options(t)
	helloCapture(t, o, `{"word":"spam"}`, `"one"`, `"two"`)
	r := replayed(t, o.File, ReplayOptions{Old: hello, New: testdata + "trap.wasm"})
	if r.Differ != 2 || r.Verdicts[0].New != "failure trap" || r.Verdicts[0].Count != 2 {
		t.Errorf("%+v", figures(r))
	}
	r = replayed(t, o.File, ReplayOptions{Old: testdata + "noop.wasm", New: testdata + "lookup_connect.wasm"})
	if r.Recorded || r.Questions != 2 || r.Differ != 0 {
		t.Errorf("%+v", figures(r))
	}
}

func TestReplaySaysWhyItCannotBeMade(t *testing.T) {
	o := options(t)
	everything(t, o, "")
	private := options(t)
	helloCapture(t, private, `{"word":"spam"}`, `"one"`)
	private.File = rewrite(t, private.File, func(*Event) {})
	text, err := os.ReadFile(private.File)
	if err != nil {
		t.Fatal(err)
	}
	hidden := strings.Replace(string(text), `"config":"{\"word\":\"spam\"}"`, `"private":true`, 1)
	if err := os.WriteFile(private.File, []byte(hidden), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		o    ReplayOptions
		want string
	}{
		{o.File, ReplayOptions{Old: hello, New: hello}, "holds several filters: name one by --filter: capable, lookup, moody, keep, verify, ratelimit"},
		{o.File, ReplayOptions{Old: hello, New: hello, Filter: "nobody"}, `it holds no question to a filter "nobody"`},
		{o.File, ReplayOptions{Old: "absent.wasm", New: hello, Filter: "keep"}, "absent.wasm"},
		{o.File, ReplayOptions{Old: testdata + "keep.wasm", New: testdata + "abi2.wasm", Filter: "keep"}, "abi2.wasm"},
		{private.File, ReplayOptions{Old: hello, New: hello}, "give it by --config"},
		{hello, ReplayOptions{Old: hello, New: hello}, "it is not a capture"},
	} {
		if _, err := Replay(context.Background(), c.path, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v; want %q", c.o, err, c.want)
		}
	}
	r := replayed(t, private.File, ReplayOptions{Old: hello, New: hello, Config: json.RawMessage(`{"word":"spam"}`)})
	if r.Differ != 0 || r.Reproduced != 1 {
		t.Errorf("%+v", figures(r))
	}
	// The module tells which filter of several is meant.
	if r := replayed(t, o.File, ReplayOptions{Old: testdata + "capable.wasm", New: testdata + "capable.wasm"}); r.Filter != "capable" {
		t.Errorf("%q is replayed", r.Filter)
	}
}
