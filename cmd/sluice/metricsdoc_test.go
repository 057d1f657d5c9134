package main

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sluice/router/redisbroker"
)

// described is a metric: in the document, or as a node shows it.
type described struct {
	kind   string
	labels []string            // in order
	values map[string]struct{} // of the labels that have fixed ones
}

// openLabels have values that depend on what is configured and what runs.
var openLabels = map[string]bool{"filter": true, "version": true, "role": true, "go": true, "name": true, "event": true}

var quoted = regexp.MustCompile("`([^`]+)`")

func words(text string) []string {
	var all []string
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// tableRows are the cells of the document's tables with so many columns.
func tableRows(text string, columns int) [][]string {
	var rows [][]string
	for line := range strings.SplitSeq(text, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != columns+2 || !strings.HasPrefix(cells[1], " `") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells[1:columns+1])
	}
	return rows
}

func documentedMetrics(t *testing.T, text string) map[string]described {
	t.Helper()
	all := make(map[string]described)
	for _, cells := range tableRows(text, 4) {
		name := strings.Trim(cells[0], "`")
		if _, twice := all[name]; twice {
			t.Errorf("%s is documented twice", name)
		}
		d := described{kind: cells[1], labels: words(cells[2]), values: make(map[string]struct{})}
		slices.Sort(d.labels)
		for _, value := range words(cells[3]) {
			d.values[value] = struct{}{}
		}
		all[name] = d
	}
	return all
}

// scraped are the metrics of the text format of Prometheus, and the values of event.
func scraped(body string) (all map[string]described, events []string) {
	all = make(map[string]described)
	for line := range strings.SplitSeq(body, "\n") {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			all[name] = described{kind: kind, values: make(map[string]struct{})}
			continue
		}
		name, labels, _ := strings.Cut(line, "{")
		d, known := all[name]
		if !known {
			continue
		}
		d.labels = nil
		for _, m := range regexp.MustCompile(`([a-z_]+)="([^"]*)"`).FindAllStringSubmatch(labels, -1) {
			d.labels = append(d.labels, m[1])
			if m[1] == "event" {
				events = append(events, m[2])
			}
			if !openLabels[m[1]] && (name != "sluice_connections_refused_by_filter_total") {
				d.values[m[2]] = struct{}{}
			}
		}
		slices.Sort(d.labels)
		all[name] = d
	}
	return all, events
}

// showingAll is a node that has something to show in every metric.
func showingAll(t *testing.T) *running {
	t.Helper()
	guest, err := filepath.Abs("../../plugins/testdata/keep.wasm")
	done(t, err)
	n := start(t, fmt.Sprintf(`
filters:
  - name: auth
    plugin: builtin:auth
    keys: [{alg: HS256, secret: "0123456789abcdef0123456789abcdef"}, {jwks: "http://127.0.0.1:1/keys", when_down: wait}]
  - name: ask
    plugin: builtin:hook
    lookup: {http: {url: "http://127.0.0.1:1/ask"}, on: [connect]}
    config: {on: [connect]}
  - name: counting
    plugin: %s
    capabilities: [counter_add, bucket_take, kv_get, kv_set, metric_add]
  - name: size
    plugin: builtin:size
    config: {max_bytes: 4096}
    candidate: {plugin: builtin:size, config: {max_bytes: 10}, shadow: 100%%}
`, guest))
	if code, body := n.get(n.clients+"/ws", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="); code != http.StatusUnauthorized {
		t.Fatalf("a connect without a token is answered %d %s", code, body)
	}
	return n
}

func TestEveryMetricIsDocumentedWithItsTypeLabelsAndValuesAndTheOtherWayRound(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	done(t, err)
	documented := documentedMetrics(t, string(text))
	n := showingAll(t)
	status, body := n.get(n.admin + "/metrics")
	if status != http.StatusOK {
		t.Fatal(status, body)
	}
	shown, events := scraped(body)
	for name, is := range shown {
		if !strings.HasPrefix(name, "sluice_") {
			continue
		}
		d, ok := documented[name]
		if !ok {
			t.Errorf("%s is not documented", name)
			continue
		}
		delete(documented, name)
		if d.kind != is.kind || !slices.Equal(d.labels, is.labels) {
			t.Errorf("%s is a %s with the labels %v, documented as a %s with %v", name, is.kind, is.labels, d.kind, d.labels)
		}
		if !maps.Equal(d.values, is.values) {
			t.Errorf("%s has the values\n%v, documented are\n%v", name, slices.Sorted(maps.Keys(is.values)), slices.Sorted(maps.Keys(d.values)))
		}
	}
	// A filter has a series of its own making only once it was called.
	delete(documented, "sluice_filter_metric_total")
	for name := range documented {
		t.Errorf("%s is documented, and not shown", name)
	}
	for _, m := range regexp.MustCompile("`((?:go|process)_[a-z_]+)`").FindAllStringSubmatch(string(text), -1) {
		if _, ok := shown[m[1]]; !ok {
			t.Errorf("%s is documented, and not shown", m[1])
		}
	}

	_, ofEmbedded, _ := strings.Cut(string(text), "### Events of the embedded broker")
	ofEmbedded, ofRedis, _ := strings.Cut(ofEmbedded, "### Events of Redis")
	b, err := redisbroker.New(redisbroker.Options{NodeID: "n", Shards: []redisbroker.Shard{{Addresses: []string{"127.0.0.1:1"}}}})
	done(t, err)
	defer b.Close()
	for _, c := range []struct {
		broker, text string
		counted      []string
	}{
		{"the embedded broker", ofEmbedded, events},
		{"Redis", ofRedis, slices.Collect(maps.Keys(b.Counters()))},
	} {
		var written []string
		for _, cells := range tableRows(c.text, 2) {
			written = append(written, strings.Trim(cells[0], "`"))
		}
		slices.Sort(written)
		slices.Sort(c.counted)
		if !slices.Equal(written, c.counted) {
			t.Errorf("%s counts\n%v, documented are\n%v", c.broker, c.counted, written)
		}
	}
}
