package words_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"sluice/plugins"
	"sluice/plugins/filters"
	"sluice/plugins/plugintest"
	"sluice/router"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFixtures(t *testing.T) { plugintest.Test(t, "tests/*.yaml") }

// newHost starts the real host with the bundled filters.
func newHost(tb testing.TB) *plugins.Host {
	tb.Helper()
	host, err := plugins.NewHost(plugins.HostOptions{Lanes: 1, Log: slog.New(slog.DiscardHandler), Builtins: filters.FS})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = host.Close(context.Background()) })
	return host
}

// build loads the built filter with a configuration, any value.
func build(tb testing.TB, host *plugins.Host, config any) (*plugins.Chain, error) {
	tb.Helper()
	raw, err := json.Marshal(config)
	if err != nil {
		tb.Fatal(err)
	}
	return host.Build(tb.Context(), []plugins.Spec{{
		Name: "words", Plugin: "builtin:words", Config: raw, Time: plugins.MaxTime,
	}}, nil)
}

func load(tb testing.TB, config any) *plugins.Chain {
	tb.Helper()
	chain, err := build(tb, newHost(tb), config)
	if err != nil {
		tb.Fatal(err)
	}
	return chain
}

func message(tb testing.TB, chain *plugins.Chain, content string) router.Verdict {
	tb.Helper()
	e := event(content)
	if err := chain.Judge(e); err != nil {
		tb.Fatal(err)
	}
	return e.Verdict
}

func event(content string) *router.Event {
	return &router.Event{
		Hook: router.HookMessage, Kind: router.KindRoom, Room: "chat:a", User: "ann", Conn: 1, Seq: 1,
		Payload: []byte(content), States: new([]router.State),
	}
}

type object = map[string]any
