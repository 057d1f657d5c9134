package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"sluice/plugins"
	"sluice/router"
)

const sizeFilter = "filters:\n  - {name: size, plugin: \"builtin:size\", config: {max_bytes: 10}}\n"

func testHost(t *testing.T, l *loaded) *plugins.Host {
	t.Helper()
	l.Cache = "off"
	host, err := newHost(l, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return host
}

func mustLoad(t *testing.T, text string) *loaded {
	t.Helper()
	l, err := loadText(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// stillJudges checks that the filters of a generation are in force.
func stillJudges(t *testing.T, g *router.Generation) {
	t.Helper()
	var states []router.State
	e := &router.Event{Hook: router.HookMessage, Kind: router.KindRoom, Time: time.Now().UnixNano(), Conn: 1, Seq: 1,
		Payload: []byte(`"a text that is too long"`), Room: "a", User: "u", States: &states}
	if err := g.Filters.Judge(e); err != nil || e.Verdict.Action != router.Deny || e.Verdict.Filter != "size" {
		t.Errorf("got %+v, %v", e.Verdict, err)
	}
}

func TestAGenerationThatCannotBeBuiltLeavesTheOneInForceAlone(t *testing.T) {
	l := mustLoad(t, sizeFilter)
	host := testHost(t, l)
	ctx := context.Background()
	first, err := buildGeneration(ctx, l, host, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a filter is missing":          sizeFilter + "  - {name: other, plugin: absent.wasm}\n",
		"a filter refuses its config":  strings.Replace(sizeFilter, "max_bytes: 10", "max_bytes: 0", 1),
		"it would admit anyone":        "listen: \":8080\"\n" + strings.Replace(sizeFilter, "10", "20", 1),
		"the same filter, but refused": "listen: \":8080\"\n" + sizeFilter,
	} {
		if _, err := buildGeneration(ctx, mustLoad(t, text), host, first); err == nil {
			t.Errorf("%s: no error", name)
		}
		if n := host.Stats().Filters; n != 1 {
			t.Errorf("%s: the host holds %d filters", name, n)
		}
		stillJudges(t, first)
	}

	second, err := buildGeneration(ctx, mustLoad(t, "rooms:\n  - {match: \"x:*\", slow: keep_latest, announce: on, presence: true}\n"+sizeFilter), host, first)
	if err != nil {
		t.Fatal(err)
	}
	if first.Number != 1 || second.Number != 2 {
		t.Errorf("numbers are %d and %d", first.Number, second.Number)
	}
	rule := second.Rooms[0]
	if rule.Match.String() != "x:*" || rule.Slow != router.SlowKeepLatest || rule.Announce != router.AnnounceOn || !rule.Presence {
		t.Errorf("got %+v", rule)
	}
	retire(first)
	stillJudges(t, second)
	retire(second)
	if n := host.Stats().Filters; n != 0 {
		t.Errorf("the host still holds %d filters", n)
	}
}

func TestAnErrorOfAFilterNamesItsLine(t *testing.T) {
	l := mustLoad(t, "anonymous: true\n"+sizeFilter+"  - {name: other, plugin: absent.wasm}\n")
	_, err := buildGeneration(context.Background(), l, testHost(t, l), nil)
	if got := errorText(err); !strings.HasPrefix(got, `config.yaml:4: filters[1]: filter "other"`) {
		t.Errorf("got %s", got)
	}
}
