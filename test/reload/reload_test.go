package reload_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// broken are candidates that have to be refused, each for its own reason. They
// would stamp a number that no generation in force has.
func (n *node) broken(i, number int) (want string) {
	n.t.Helper()
	config := stamping(number)
	switch i % 7 {
	case 0:
		n.put("broken.wasm", guest(n.t, "testdata/stamp.wasm")[:200]) // truncated
		config, want = strings.Replace(config, "plugin: stamp.wasm", "plugin: broken.wasm", 1), "stamp0"
	case 1:
		n.put("broken.wasm", guest(n.t, "../../plugins/testdata/loop_configure.wasm"))
		config, want = strings.Replace(config, "stamp2, plugin: stamp.wasm", "stamp2, plugin: broken.wasm", 1), "did not get ready"
	case 2:
		config, want = strings.Replace(config, fmt.Sprintf("{n: %d}", number), "{n: none}", 1), "on_configure"
	case 3:
		config, want = strings.Replace(config, "filters:", "filters: [", 1), "config.yaml"
	case 4:
		config, want = strings.Replace(config, "plugin: stamp.wasm", "plugin: gone.wasm", 1), "does not exist"
	case 5:
		config, want = "anonymous: true\n"+config, "cannot change while the node runs"
	case 6:
		n.put("broken.wasm", guest(n.t, "../../plugins/testdata/trap_configure.wasm"))
		config, want = strings.Replace(config, "stamp1, plugin: stamp.wasm", "stamp1, plugin: broken.wasm", 1), "stamp1"
	}
	n.configure(config)
	return want
}

// generations replaces the filters so often, every brokenEvery-th candidate being
// broken, and waits each time until messages have been judged. Between two there
// is a pause.
func (n *node) generations(k *checker, count, brokenEvery, first int, pause time.Duration) (last int) {
	n.t.Helper()
	number := first
	for i := range count {
		time.Sleep(pause)
		if i%brokenEvery == brokenEvery-1 {
			want := n.broken(i/brokenEvery, maxGeneration-1)
			status, body := n.reload()
			if status != http.StatusUnprocessableEntity || !strings.Contains(body, want) {
				n.t.Fatalf("a broken candidate: %d %s, want %s", status, body, want)
			}
			continue
		}
		number++
		if i%8 == 0 { // another module, too
			n.put("stamp.wasm", append(guest(n.t, "testdata/stamp.wasm"), 0, 2, 1, byte('a'+i/8%26)))
		}
		n.configure(stamping(number))
		k.known[number].Store(true)
		if status, body := n.reload(); status != http.StatusOK || !strings.Contains(body, fmt.Sprintf(`"generation":%d`, number)) {
			n.t.Fatalf("%d %s", status, body)
		}
		until(n.t, fmt.Sprintf("generation %d judges messages", number), func() bool { return k.judged[number].Load() >= 40 || k.report() != "" })
		if faults := k.report(); faults != "" {
			n.t.Fatal(faults)
		}
	}
	return number
}

func TestFiftyGenerationsUnderLoadChangeNothingForTheClients(t *testing.T) {
	n := startNode(t, "reload: {watch: false}\n", stamping(1))
	k := newChecker()
	k.known[1].Store(true)
	c := gather(t, n.Clients, "good", 200, 4, 500, k)
	last := n.generations(k, 8, 4, 1, 0) // what grows once, has
	was := n.holds()
	n.generations(k, 50, 5, last, 0)
	c.hush()
	c.settle()
	if faults := k.report(); faults != "" {
		t.Error(faults)
	}
	n.backTo(was)
	m := n.Metrics()
	if m["sluice_connections"] != 200 || m["sluice_filter_failures_total"] != 0 {
		t.Errorf("%v connections, %v failures", m["sluice_connections"], m["sluice_filter_failures_total"])
	}
	t.Logf("%d messages; %s; %.0f judged anew", c.sent.Load(), k.times.Load(), m["sluice_events_rejudged_total"])
}
