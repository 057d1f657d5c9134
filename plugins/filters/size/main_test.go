package size_test

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

// newBareHost has the filter without its schema, so that what the filter itself
// says of a configuration is heard.
func newBareHost(tb testing.TB) *plugins.Host {
	tb.Helper()
	bare, err := plugintest.WithoutSchema(filters.FS, "size")
	if err != nil {
		tb.Fatal(err)
	}
	host, err := plugins.NewHost(plugins.HostOptions{Lanes: 1, Log: slog.New(slog.DiscardHandler), Builtins: bare})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = host.Close(context.Background()) })
	return host
}

// build loads the built filter.
func build(tb testing.TB, host *plugins.Host, config string) (*plugins.Chain, error) {
	tb.Helper()
	return host.Build(tb.Context(), []plugins.Spec{{
		Name: "size", Plugin: "builtin:size", Config: json.RawMessage(config),
	}}, nil)
}

func load(tb testing.TB, config string) *plugins.Chain {
	tb.Helper()
	chain, err := build(tb, newHost(tb), config)
	if err != nil {
		tb.Fatalf("%s: %v", config, err)
	}
	return chain
}

// message asks the chain about one message; room "" is a broadcast.
func message(tb testing.TB, chain *plugins.Chain, room, content string) router.Verdict {
	tb.Helper()
	e := &router.Event{
		Hook: router.HookMessage, Kind: router.KindRoom, Room: room, User: "ann", Conn: 1, Seq: 1,
		Payload: []byte(content), States: new([]router.State),
	}
	if room == "" {
		e.Kind = router.KindBroadcast
	}
	if err := chain.Judge(e); err != nil {
		tb.Fatal(err)
	}
	return e.Verdict
}
