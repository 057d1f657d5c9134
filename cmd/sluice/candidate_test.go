package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestACandidateThatMakesNoSenseIsRefusedWithItsLine(t *testing.T) {
	dir := t.TempDir()
	withSchema(t, dir, wordsSchema)
	const head = "FILTER    config: {words: [ab]}\n    candidate:\n"
	for text, want := range map[string]string{
		"      {plugin: words.wasm}\n":                                                    "config.yaml:5: filters[0].candidate: has neither canary nor shadow; write shadow: 10% to compare its answers, or canary: 5% to let it judge",
		"      {plugin: words.wasm, canary: 5%, shadow: 5%}\n":                            "config.yaml:5: filters[0].candidate: has both canary and shadow",
		"      {canary: 5%}\n":                                                            "config.yaml:5: filters[0].candidate.plugin: is missing; write the path of a .wasm",
		"      plugin: words.wasm\n      canary: 5\n":                                     `config.yaml:7: filters[0].candidate.canary: "5" is not a percentage; write a number with %, as in 5%`,
		"      plugin: words.wasm\n      canary: -1%\n":                                   "config.yaml:7: filters[0].candidate.canary: -1% is not between 0% and 100%",
		"      plugin: words.wasm\n      shadow: 101%\n":                                  "config.yaml:7: filters[0].candidate.shadow: 101% is not between 0% and 100%",
		"      plugin: words.wasm\n      shadow: [1]\n":                                   "config.yaml:7: filters[0].candidate.shadow: expected a percentage, as in 5%",
		"      plugin: words.wasm\n      shadow: 1%\n      rooms: []":                     "config.yaml:8: filters[0].candidate.rooms: unknown key",
		"      plugin: absent.wasm\n      shadow: 1%\n":                                   `config.yaml:5: filters[0].candidate: the candidate of filter "words"`,
		"      plugin: words.wasm\n      shadow: 1%\n      config:\n        words: [1]\n": "config.yaml:9: filters[0].candidate.config.words[0]: ",
		"      plugin: words.wasm\n      canary: 1%\n      config: {action: mask}\n":      "config.yaml:8: filters[0].candidate.config: ",
	} {
		if code, stderr := check(t, dir, head+text); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d: %s\nwant %s", text, code, stderr, want)
		}
	}
	for _, share := range []string{"canary: 0%", "canary: 0.5%", "shadow: 100%", "shadow: 12.5 %"} {
		if code, stderr := check(t, dir, head+"      {plugin: words.wasm, "+share+"}\n"); code != 0 {
			t.Errorf("%s: exit %d: %s", share, code, stderr)
		}
	}
}

func sizeCandidate(limit, candidate int, share string) string {
	return sizeLimit(limit) + fmt.Sprintf("    candidate: {plugin: \"builtin:size\", config: {max_bytes: %d}, %s}\n", candidate, share)
}

// candidateStatus is what GET /api/filters tells of a candidate.
type candidateStatus struct {
	Role, Version string
	Share         float64
	Calls         int
	Verdicts      map[string]int
	Shadow        *struct {
		Drawn, Compared int
		Dropped         map[string]int
		Differences     map[string]int
		Samples         []struct {
			Kind, Hook, Message, Room string
			Active, Candidate         struct {
				Verdict string
				Code    int
			}
		}
	}
}

// candidate waits until everything that was drawn is compared.
func (r *reloadable) candidate(t *testing.T) candidateStatus {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		code, body := r.get(r.admin + "/api/filters")
		var all struct {
			Filters []struct{ Candidate *candidateStatus }
		}
		if err := json.Unmarshal([]byte(body), &all); err != nil || code != http.StatusOK || len(all.Filters) != 1 || all.Filters[0].Candidate == nil {
			t.Fatal(code, err, body)
		}
		c := all.Filters[0].Candidate
		if c.Shadow == nil || c.Shadow.Compared == c.Shadow.Drawn {
			return *c
		}
		if time.Now().After(end) {
			t.Fatal(body)
		}
	}
}

func TestACandidateIsTriedInTheShadowThenOnSomeConnectionsAndShown(t *testing.T) {
	n := startReloadable(t, sizeCandidate(100, 10, "shadow: 100%"))
	c := n.dial("/ws?client_id=ann").join("a")
	for range 3 {
		if !c.accepted() {
			t.Fatal("the candidate's limit is in force")
		}
	}
	s := n.candidate(t)
	if s.Role != "shadow" || s.Share != 1 || s.Shadow.Compared < 3 || s.Shadow.Differences["verdict"] != 3 || s.Verdicts["deny"] != 3 {
		t.Errorf("%+v %+v", s, s.Shadow)
	}
	if d := s.Shadow.Samples[0]; d.Kind != "verdict" || d.Hook != "message" || d.Message != "room" || !strings.HasPrefix(d.Room, "hash:") ||
		d.Active.Verdict != "continue" || d.Candidate.Verdict != "deny" || d.Candidate.Code != 413 {
		t.Errorf("%+v", d)
	}
	labels := `filter="size",role="shadow",`
	if got := n.counters(
		`sluice_filter_verdicts_total\{`+labels+`verdict="deny",version="`+s.Version+`"\}`,
		`sluice_filter_verdicts_total\{filter="size",role="active",verdict="deny",version="`+s.Version+`"\}`,
		`sluice_filter_shadow_differences_total\{filter="size",kind="verdict",role="shadow",version="`+s.Version+`"\}`,
		`sluice_filter_candidate_share\{`+labels+`version="`+s.Version+`"\}`,
	); got[0] != 3 || got[1] != 0 || got[2] != 3 || got[3] != 1 {
		t.Errorf("the metrics say %v", got)
	}
	_, stats := n.get(n.admin + "/stats")
	if !strings.Contains(stats, `"role":"shadow"`) || strings.Contains(stats, "xxxx") {
		t.Errorf("the statistics are %s", stats)
	}

	n.write(t, sizeCandidate(100, 10, "canary: 100%"))
	if status, body := n.post(t); status != http.StatusOK {
		t.Fatal(status, body)
	}
	if c.accepted() {
		t.Error("the candidate does not judge")
	}
	if s := n.candidate(t); s.Role != "canary" || s.Shadow != nil || s.Verdicts["deny"] != 1 {
		t.Errorf("%+v", s)
	}
	n.write(t, strings.ReplaceAll(sizeCandidate(100, 10, "canary: 100%"), "{max_bytes: 10}", "{max_bytes: none}"))
	if status, body := n.post(t); status == http.StatusOK || !strings.Contains(body, "filters[0].candidate") {
		t.Errorf("a candidate that refuses its configuration: %d %s", status, body)
	}
	if s := n.candidate(t); s.Role != "canary" || c.accepted() {
		t.Errorf("what was in force is not: %+v", s)
	}
}

func TestAPercentageIsWrittenAsItIsRead(t *testing.T) {
	for text, want := range map[string]Percent{"0%": 0, "5%": 0.05, "12.5%": 0.125, "100%": 1, "0.01 %": 0.0001} {
		if got, err := parsePercent(text); err != nil || got != want || got.String() != strings.ReplaceAll(text, " ", "") {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "%", "5", "0.5", "x%", "NaN%", "-0.1%", "100.1%", "5%%", "+Inf%"} {
		if got, err := parsePercent(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}
