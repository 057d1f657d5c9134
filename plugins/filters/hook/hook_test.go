package main_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/plugins"
	"sluice/plugins/filters"
	"sluice/plugins/lookup"
	"sluice/plugins/plugintest"
	"sluice/router"
)

func TestTheFixturesHold(t *testing.T) {
	plugintest.TestWith(t, plugintest.Options{CacheDir: filepath.Join(cache, "code")}, "tests/*.yaml")
}

func TestTheFilterThatIsCommittedActsOnAnswers(t *testing.T) {
	answer := "" // of the backend; events are judged one at a time
	chain := load(t, asks("http://127.0.0.1:1/unused"), func(string, *router.Event) lookup.Result {
		return lookup.Result{Status: lookup.Found, Value: []byte(answer)}
	})
	for _, c := range []struct {
		answer  string
		action  router.Action
		code    uint32
		reason  string
		payload string
	}{
		{`{"result":{}}`, router.Continue, 0, "", ""},
		{`{"result":{"data":{"a":[1]}}}`, router.Continue, 0, "", `{"a":[1]}`},
		{`{"error":{"code":103,"message":"no"}}`, router.Deny, 403, "no", ""},
		{`{"disconnect":{"code":4001,"reason":"out"}}`, router.Disconnect, 4001, "out", ""},
		{`{"allow":true}`, router.Deny, 503, "the backend gave no valid answer", ""},
		{`[]`, router.Deny, 503, "the backend gave no valid answer", ""},
		{`{"result":{"data":` + strings.Repeat(`[`, 60) + strings.Repeat(`]`, 60) + `}}`, router.Continue, 0, "", strings.Repeat(`[`, 60) + strings.Repeat(`]`, 60)},
		{`{"error":{"code":1000,"message":"` + strings.Repeat("é", 5000) + `"}}`, router.Deny, 1000, strings.Repeat("é", 256), ""},
	} {
		answer = c.answer
		v := judge(t, chain, message(`"hi"`))
		if v.Action != c.action || v.Code != c.code || v.Reason != c.reason || string(v.Payload) != c.payload || v.Failure != "" {
			t.Errorf("%.60s: got %+v", c.answer, v)
		}
	}
}

func TestAMessageCausesNoGarbageThatCounts(t *testing.T) {
	answer := lookup.Result{Status: lookup.Found, Value: []byte(`{"result":{"data":{"text":"hi"}}}`)}
	chain := load(t, asks("http://127.0.0.1:1/unused"), func(string, *router.Event) lookup.Result { return answer })
	for range 20_000 { // the guest's memory would run over if each left something behind
		if v := judge(t, chain, message(`"hi"`)); string(v.Payload) != `{"text":"hi"}` || v.Failure != "" {
			t.Fatalf("got %+v", v)
		}
	}
}

func TestEveryEventIsRefusedThatIsNotAsked(t *testing.T) {
	spec := asks("http://127.0.0.1:1/unused")
	spec.Lookup.Hooks = []string{"connect"}
	chain := load(t, spec, nil)
	for _, e := range []*router.Event{message(`"hi"`), {Hook: router.HookJoin, Room: "a", User: "ann"}} {
		if v := judge(t, chain, e); v.Action != router.Deny || v.Code != 503 {
			t.Errorf("got %+v", v)
		}
	}
}

func TestAnEntryWithoutALookupIsRefused(t *testing.T) {
	host, err := plugins.NewHost(plugins.HostOptions{Builtins: filters.FS, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close(context.Background())
	_, err = host.Build(t.Context(), []plugins.Spec{{Name: "hook", Plugin: "builtin:hook"}}, nil)
	if err == nil || !strings.Contains(err.Error(), "its entry has none; add a lookup") {
		t.Errorf("got %v", err)
	}
}

func TestAFailedLookupIsHandedOverOnlyWhereTheEntrySaysSo(t *testing.T) {
	failed := func(string, *router.Event) lookup.Result {
		return lookup.Result{Status: lookup.Failed, Cause: "timeout"}
	}
	spec := asks("http://127.0.0.1:1/unused")
	spec.Config = []byte(`{"on_failure":"continue"}`)
	if v := judge(t, load(t, spec, failed), message(`"hi"`)); v.Action != router.Deny || v.Code != 503 {
		t.Errorf("by default: %+v", v)
	}
	spec.Lookup.OnFailure = lookup.Pass
	if v := judge(t, load(t, spec, failed), message(`"hi"`)); v.Action != router.Continue || v.Failure != "" {
		t.Errorf("with pass: %+v", v)
	}
}

func TestTheModuleCarriesItsSchemaAndStaysSmall(t *testing.T) {
	wasm, err := os.ReadFile("hook.wasm")
	if err != nil {
		t.Fatal(err)
	}
	for section, file := range map[string]string{plugins.SectionSchema: "schema.json", plugins.SectionMeta: "meta.json"} {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := plugintest.Custom(wasm, section); err != nil || !bytes.Equal(got, want) {
			t.Errorf("the section %s is not %s: run scripts/filters (%v)", section, file, err)
		}
	}
	if len(wasm) > 2_000_000 {
		t.Errorf("it has %d bytes: has it come to import fmt or encoding/json?", len(wasm))
	}
}
