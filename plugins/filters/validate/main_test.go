package validate_test

import (
	"context"
	"encoding/json"
	"log"
	"log/slog"
	"os"
	"testing"

	"go.uber.org/goleak"

	"sluice/plugins"
	"sluice/plugins/plugintest"
	"sluice/router"
)

// run is the tests with the host that they share: compiling the filter for each
// would take most of their time.
type run struct{ *testing.M }

func (r run) Run() int {
	var err error
	shared, err = plugins.NewHost(plugins.HostOptions{Lanes: 1, Log: slog.New(slog.DiscardHandler), Builtins: os.DirFS("..")})
	if err != nil {
		log.Fatal(err)
	}
	spec := plugins.Spec{Name: "keeps the compiled module", Plugin: "builtin:validate", Config: json.RawMessage(`{"schema":true}`)}
	if _, err := shared.Build(context.Background(), []plugins.Spec{spec}, nil); err != nil {
		log.Fatal(err)
	}
	code := r.M.Run()
	_ = shared.Close(context.Background())
	return code
}

// shared is the real host, with the built filter.
var shared *plugins.Host

func TestMain(m *testing.M) { goleak.VerifyTestMain(run{m}) }

// buildBare configures the filter without its schema, so that what the filter
// itself says of a configuration is heard.
func buildBare(tb testing.TB, config string) error {
	tb.Helper()
	bare, err := plugintest.WithoutSchema(os.DirFS(".."), "validate")
	if err != nil {
		tb.Fatal(err)
	}
	host, err := plugins.NewHost(plugins.HostOptions{Lanes: 1, Log: slog.New(slog.DiscardHandler), Builtins: bare})
	if err != nil {
		tb.Fatal(err)
	}
	defer host.Close(context.Background())
	_, err = host.Build(tb.Context(), []plugins.Spec{{
		Name: "validate", Plugin: "builtin:validate", Config: json.RawMessage(config), Time: plugins.MaxTime,
	}}, nil)
	return err
}

// build configures the filter, with time enough for a machine that does much
// else: what never ends still fails.
func build(tb testing.TB, config string) (*plugins.Chain, error) {
	tb.Helper()
	return shared.Build(tb.Context(), []plugins.Spec{{
		Name: "validate", Plugin: "builtin:validate", Config: json.RawMessage(config), Time: plugins.MaxTime,
	}}, nil)
}

func load(tb testing.TB, config string) *plugins.Chain {
	tb.Helper()
	chain, err := build(tb, config)
	if err != nil {
		tb.Fatalf("%.500s: %v", config, err)
	}
	tb.Cleanup(chain.Retire)
	return chain
}

// forSchema loads the filter with one schema for all messages.
func forSchema(tb testing.TB, schema string) *plugins.Chain {
	tb.Helper()
	return load(tb, `{"schema":`+schema+`}`)
}

func event(kind uint32, room, content string) *router.Event {
	return &router.Event{
		Hook: router.HookMessage, Kind: kind, Room: room, User: "ann", Conn: 1, Seq: 1,
		Payload: []byte(content), States: new([]router.State),
	}
}

// judge asks the chain about a broadcast.
func judge(tb testing.TB, chain *plugins.Chain, content string) router.Verdict {
	tb.Helper()
	e := event(router.KindBroadcast, "", content)
	if err := chain.Judge(e); err != nil {
		tb.Fatal(err)
	}
	return e.Verdict
}
