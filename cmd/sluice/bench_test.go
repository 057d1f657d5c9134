package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sluice/cmd/sluice/bench"
)

// bench runs the command against a node, and returns the results, of which the last
// one is the median, and the exit code.
func runBench(t *testing.T, args ...string) (results []*bench.Result, code int, stderr string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "results.json")
	var out, errOut bytes.Buffer
	code = Main(t.Context(), append([]string{"bench"}, append(args, "--json", file)...), nil, nil, &out, &errOut)
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, code, errOut.String()
	}
	for line := range strings.Lines(string(text)) {
		var r bench.Result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		results = append(results, &r)
	}
	if t.Failed() || code != 0 {
		t.Logf("the command says\n%s%s", &out, &errOut)
	}
	return results, code, errOut.String()
}

// small is a short load of a node.
func small(n *running, scenario string, args ...string) []string {
	return append([]string{scenario, "--url", "ws://" + n.clients + "/ws", "--connections", "20", "--concurrency", "5", "--connect-timeout", "20s",
		"--pid", "srv=" + strconv.Itoa(os.Getpid())}, args...)
}

func TestBenchMeasuresANodeInEveryScenario(t *testing.T) {
	n := start(t, rooms)
	short := []string{"--duration", "300ms", "--warmup", "100ms", "--drain", "20s"}
	for _, c := range []struct {
		args    []string
		members int64
	}{
		{append(small(n, "fanout", "--rate", "100"), short...), 20},
		{append(small(n, "fanout", "--window", "8", "--content", "object", "--rooms", "2"), short...), 10},
		{append(small(n, "rooms", "--rate", "200"), short...), 4},
		{append(small(n, "rooms", "--window", "8", "--size", "1KiB"), short...), 4},
		{small(n, "idle", "--duration", "300ms"), 0},
		{small(n, "connect"), 0},
	} {
		results, code, _ := runBench(t, c.args...)
		if code != 0 || len(results) != 2 {
			t.Fatalf("%v: exit %d", c.args[0], code)
		}
		r := results[0]
		if r.Kind != "run" || results[1].Kind != "median" || r.Connect.Joined != 20 || r.Connect.P50 <= 0 || r.Seconds <= 0 || r.Failed() || r.Version != nodeVersion() {
			t.Errorf("%v: got %+v", c.args, r)
		}
		if r.Delivered != r.Published*c.members || (c.members > 0) != (r.Published > 0) {
			t.Errorf("%v: %d published, %d delivered", c.args, r.Published, r.Delivered)
		}
		if c.members > 0 && (r.Latency.P50 <= 0 || r.Latency.P99 < r.Latency.P50 || r.PublishesPerSecond <= 0 || r.DeliveriesPerSecond <= 0) {
			t.Errorf("%v: latency %+v, %v publishes/s", c.args, r.Latency, r.PublishesPerSecond)
		}
		if p := r.Processes["srv"]; p.RSS == 0 {
			t.Errorf("%v: the process has %+v", c.args, p)
		}
	}
}

func TestBenchSignsTokensOfItsOwnUsers(t *testing.T) {
	filter := "filters:\n  - {name: auth, plugin: \"builtin:auth\", keys: [{alg: HS256, secret: \"" + testSecret + "\"}], config: {issuer: me}}\n"
	n := start(t, filter+"default_grants: [{rooms: \"mine:*\", allow: [join]}]\n")
	config := filepath.Join(t.TempDir(), "config.yaml")
	writeFile(t, config, filter)
	load := []string{"--duration", "200ms", "--warmup", "0s", "--drain", "20s"}

	r, code, _ := runBench(t, append(small(n, "fanout"), load...)...)
	if code != exitFaulty || r[0].Refused["unauthorized"] < 10 || r[0].Connect.Joined != 0 {
		t.Errorf("without tokens: exit %d, %+v", code, r[0])
	}
	r, code, _ = runBench(t, append(small(n, "fanout", "--key-config", config, "--grants", `[{"rooms":"bench:*","allow":["join","send"]}]`), load...)...)
	if code != 0 || r[0].Delivered == 0 {
		t.Errorf("with tokens: exit %d, %+v", code, r[0])
	}
	r, code, _ = runBench(t, append(small(n, "fanout", "--key-config", config), load...)...)
	if code != exitFaulty || r[0].Refused["forbidden"] < 10 {
		t.Errorf("without a grant to join: exit %d, %+v", code, r[0])
	}
	r, code, _ = runBench(t, append(small(n, "fanout", "--key-config", config, "--room-prefix", "mine:", "--token-query", "token"), load...)...)
	if code != exitFaulty || r[0].Connect.Joined != 20 || r[0].Refused["forbidden"] != r[0].Published || r[0].Lost != 0 || r[0].Expected != 0 {
		t.Errorf("without a grant to send: exit %d, %+v", code, r[0])
	}

	token := filepath.Join(t.TempDir(), "tokens")
	var out bytes.Buffer
	if code := Main(t.Context(), []string{"token", "--config", config, "--user", "ann"}, nil, nil, &out, &out); code != 0 {
		t.Fatal(out.String())
	}
	writeFile(t, token, "\n"+out.String()+"\n")
	if r, code, _ = runBench(t, small(n, "connect", "--token-file", token, "--room-prefix", "mine:")...); code != 0 || r[0].Connect.Joined != 20 {
		t.Errorf("with a file: exit %d, %+v", code, r[0])
	}
	if r, code, _ = runBench(t, small(n, "connect", "--token", strings.TrimSpace(out.String()), "--room-prefix", "mine:")...); code != 0 || r[0].Connect.Joined != 20 {
		t.Errorf("with a token: exit %d, %+v", code, r[0])
	}
}

func TestBenchReportsWhatANodeRefuses(t *testing.T) {
	n := start(t, "limits: {connections: 8}\nfilters:\n  - {name: size, plugin: \"builtin:size\", config: {max_bytes: 200}}\n")
	r, code, _ := runBench(t, small(n, "fanout", "--connections", "6", "--size", "1000", "--duration", "200ms", "--warmup", "0s")...)
	if code != exitFaulty || r[0].Refused["too_large"] != r[0].Published || r[0].Lost != 0 || !strings.Contains(r[0].Reasons["too_large"], "(filter size)") {
		t.Errorf("exit %d, %+v", code, r[0])
	}
	r, code, _ = runBench(t, small(n, "connect", "--connections", "12")...)
	if code != exitFaulty || r[0].Connect.Joined > 8 || r[0].Refused["unavailable"] < 4 {
		t.Errorf("exit %d, %+v", code, r[0])
	}
}

func TestBenchSeesSlowMembersClosedAndTheOthersServed(t *testing.T) {
	n := start(t, "limits: {queue: 512KiB}\n")
	// What is under way to the others fits into their queues, however slow they are.
	r, code, _ := runBench(t, small(n, "fanout", "--slow", "2", "--size", "32KiB", "--window", "4", "--duration", "3s", "--warmup", "1s", "--drain", "20s")...)
	slow := int64(0)
	for _, k := range r[0].SlowClosed {
		slow += k
	}
	if code != 0 || slow != 2 || r[0].Delivered != 18*r[0].Published {
		t.Errorf("exit %d, slow ones closed: %v, %d of %d delivered, closed %v", code, r[0].SlowClosed, r[0].Delivered, r[0].Expected, r[0].Closed)
	}
}

func TestBenchRepeatsAndTakesTheMedian(t *testing.T) {
	n := start(t, rooms)
	var out, errOut bytes.Buffer
	args := append([]string{"bench"}, small(n, "connect", "--repeat", "3", "--label", "mine")...)
	if code := Main(t.Context(), args, nil, nil, &out, &errOut); code != 0 || !strings.Contains(out.String(), "mine: connect on ws://") || !strings.Contains(out.String(), "median of 3 runs") || !strings.Contains(errOut.String(), "run 3 of 3") {
		t.Errorf("exit %d\n%s%s", code, &out, &errOut)
	}
	out.Reset()
	if code := Main(t.Context(), append(args, "--json", "-"), nil, nil, &out, &errOut); code != 0 || strings.Count(out.String(), "\n") != 4 || !strings.HasPrefix(out.String(), `{"kind":"run","repeat":1,"label":"mine","scenario":"connect"`) {
		t.Errorf("exit %d\n%s", code, &out)
	}
}

func TestAnInterruptedBenchReportsWhatItMeasured(t *testing.T) {
	n := start(t, rooms)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out bytes.Buffer
	code := Main(ctx, append([]string{"bench"}, small(n, "fanout", "--duration", "1h", "--warmup", "0s")...), nil, nil, &out, writer(func(p []byte) {
		if strings.Contains(string(p), "measuring") {
			cancel()
		}
	}))
	if code != 0 || !strings.Contains(out.String(), "interrupted: ") || !strings.Contains(out.String(), "connected   20 of 20") {
		t.Errorf("exit %d\n%s", code, &out)
	}
}

// writer is a function that is given what is written.
type writer func(p []byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }

func TestBenchSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	empty := filepath.Join(t.TempDir(), "empty")
	writeFile(t, empty, "\n")
	blank := filepath.Join(t.TempDir(), "blank")
	writeFile(t, blank, "a b\n")
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"fanuot", 1, `no scenario "fanuot"; did you mean fanout?`},
		{"fanout now", 1, "takes no arguments"},
		{"fanout --url ws://192.0.2.1/ws", 1, "add --remote if the server is yours"},
		{"fanout --url 127.0.0.1:8080", 1, "is not a URL such as ws://127.0.0.1:8080/ws"},
		{"fanout --rate 5 --window 5", 1, "do not go together"},
		{"fanout --window 0", 1, "--window must be at least 1"},
		{"fanout --duration 5", 1, "5 has no unit"},
		{"fanout --size 1KB", 1, "is not a size"},
		{"fanout --size 10", 1, "--size must be 33"},
		{"fanout --payload-file " + empty + " --size 10B", 1, "leave --size and --content out"},
		{"fanout --payload-file " + empty, 1, "it is not JSON"},
		{"fanout --payload-file /nowhere", 1, "no such file"},
		{"idle --rate 5", 1, "unknown flag: --rate"},
		{"connect --repeat 0", 1, "--repeat must be at least 1"},
		{"connect --connections 0", 1, "--connections must be"},
		{"connect --pid 12", 1, "is not NAME=PID"},
		{"connect --pid srv=99999999", 1, "cannot be measured"},
		{"connect --token a --token-file b", 1, "do not go together"},
		{"connect --token-file " + empty, 1, "has no token"},
		{"connect --token-file " + blank, 1, "token 1 of 1 has a blank"},
		{"connect --grants []", 1, "add --key-config"},
		{"connect --key-config ../../config.yaml", 1, "no filter of the configuration has keys"},
		{"connect --connections 1000000", 1, "ulimit -n"},
		{"connect --url ws://" + l.Addr().String() + "/ws", exitFaulty, "nobody listens there: start a node"},
	} {
		var out, errOut bytes.Buffer
		code := Main(t.Context(), append([]string{"bench"}, strings.Fields(c.args)...), nil, nil, &out, &errOut)
		if text := out.String() + errOut.String(); code != c.code || !strings.Contains(text, c.want) {
			t.Errorf("%s: exit %d\n%s", c.args, code, text)
		}
	}
}

func TestAFileForJSONThatCannotBeWrittenIsRefusedBeforeTheRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "")
	var out bytes.Buffer
	// Of several runs each is announced.
	code := Main(t.Context(), []string{"bench", "connect", "--url", "ws://127.0.0.1:1/ws", "--repeat", "2", "--json", filepath.Join(file, "x")}, nil, nil, &out, &out)
	if code != 1 || !strings.Contains(out.String(), "--json: open") || strings.Contains(out.String(), "run 1 of 2") {
		t.Errorf("exit %d\n%s", code, &out)
	}
}

func TestTheHelpOfBenchNamesItsScenarios(t *testing.T) {
	var out bytes.Buffer
	if code := Main(t.Context(), []string{"bench"}, nil, nil, &out, &out); code != 0 {
		t.Errorf("exit %d", code)
	}
	for _, name := range []string{"fanout", "rooms", "idle", "connect", "Exits with 3"} {
		if !strings.Contains(out.String(), name) {
			t.Errorf("%s is not in\n%s", name, &out)
		}
	}
}

// smaller makes the loads of the document such as a test can afford.
var smaller = regexp.MustCompile(`--connections \d+|--duration \d+s|(sluice bench \w+)`)

func TestEachCommandOfTheBenchDocumentWorks(t *testing.T) {
	s, clients, admin := newDocShell(t)
	writeFile(t, filepath.Join(s.dir, "config.yaml"), fmt.Sprintf(`
listen: %s
admin: {listen: "%s"}
anonymous: true
filters:
  - {name: auth, plugin: "builtin:auth", keys: [{alg: HS256, secret: "%s"}], config: {optional: true}}
`, clients, admin, testSecret))
	commands := 0
	for _, b := range docBlocks(t, "bench.md") {
		if b.mark == "background" {
			s.start(b, clients)
			continue
		}
		if n := strings.Count(b.commands, "sluice bench"); n > 0 {
			commands += n
			b.commands = smaller.ReplaceAllStringFunc(b.commands, func(m string) string {
				switch {
				case strings.HasPrefix(m, "--connections"):
					return "--connections 40"
				case strings.HasPrefix(m, "--duration"):
					return "--duration 300ms"
				}
				m += " --url ws://" + clients + "/ws --connections 40 --connect-timeout 20s"
				if strings.Contains(m, "bench fanout") || strings.Contains(m, "bench rooms") {
					m += " --warmup 100ms"
				}
				return m
			})
			b.commands = strings.ReplaceAll(b.commands, "--rate 2000", "--rate 200")
		}
		s.run(b)
	}
	if commands < 9 {
		t.Errorf("the document has only %d commands", commands)
	}
}

func TestEveryFlagOfBenchThatTheDocumentNamesIsThere(t *testing.T) {
	var help bytes.Buffer
	for _, scenario := range []string{"fanout", "connect"} {
		Main(t.Context(), []string{"bench", scenario, "--help"}, nil, nil, &help, &help)
	}
	names := 0
	for _, m := range regexp.MustCompile("`(--[a-z-]+)").FindAllStringSubmatch(readText(t, "../../docs/bench.md"), -1) {
		names++
		if !strings.Contains(help.String(), m[1]+" ") && !strings.Contains(help.String(), m[1]+"[") {
			t.Errorf("%s is documented, and no flag", m[1])
		}
	}
	if names < 15 {
		t.Errorf("only %d flags are documented", names)
	}
}
