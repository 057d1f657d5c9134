package admin

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"testing"

	"sluice/plugins"
)

func TestWhatAFilterKeepsAndIsRefusedIsShown(t *testing.T) {
	n := newNodeWith(t,
		plugins.Spec{Name: "keeper", Plugin: "../plugins/testdata/keep_configure.wasm", Config: json.RawMessage(`{"a": 1}`),
			Capabilities: []string{"metric_add", "counter_add", "kv_set"}},
		plugins.Spec{Name: "size", Plugin: "builtin:size", Config: json.RawMessage(`{"max_bytes":10}`)})
	instances := int64(n.chain.Stats()[0].Created)
	h := Handler(Options{Router: n.Router})
	body := get(h, "/metrics", nil).Body.String()
	for _, want := range []string{
		`sluice_filter_metric_total{filter="keeper",name="configured"} ` + number(instances),
		`sluice_filter_kept{filter="keeper",kind="counter"} 1`,
		`sluice_filter_kept{filter="keeper",kind="bucket"} 0`,
		`sluice_filter_kept{filter="keeper",kind="value"} 1`,
		`sluice_filter_kept_bytes{filter="keeper"} 78`, // "config", {"a": 1} and 64
		`sluice_filter_keep_calls_total{filter="keeper",kind="value"} ` + number(instances),
		`sluice_filter_quota_refused_total{filter="keeper",quota="series"} 0`,
		`sluice_filter_kept{filter="size",kind="counter"} 0`,
	} {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("no series %s", want)
		}
	}
	var stats struct{ Filters []filterStats }
	if err := json.Unmarshal(get(h, "/stats", nil).Body.Bytes(), &stats); err != nil {
		t.Fatal(err)
	}
	s := stats.Filters[0]
	if !maps.Equal(s.Metrics, map[string]int64{"configured": instances}) || s.Kept.Counters != 1 || s.Kept.Values != 1 || s.Kept.Bytes != 78 ||
		s.Kept.Calls["counter"] != uint64(instances) || len(s.Kept.Refused) != 3 {
		t.Errorf("/stats shows %+v", s)
	}
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
