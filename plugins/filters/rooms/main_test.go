package rooms_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/plugins"
	"sluice/plugins/filters"
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

// build loads the built filter. How long it takes is not what is tested here.
func build(tb testing.TB, host *plugins.Host, config string) (*plugins.Chain, error) {
	tb.Helper()
	return host.Build(tb.Context(), []plugins.Spec{{
		Name: "rooms", Plugin: "builtin:rooms", Config: json.RawMessage(config), Time: time.Second,
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

// withoutSchema is the module without its custom sections, so that the filter
// itself reads every configuration.
func withoutSchema(tb testing.TB) string {
	tb.Helper()
	module, err := os.ReadFile("rooms.wasm")
	if err != nil {
		tb.Fatal(err)
	}
	out := slices.Clone(module[:8])
	for rest := module[8:]; len(rest) > 0; {
		size, n := binary.Uvarint(rest[1:])
		section := rest[:1+n+int(size)]
		if rest = rest[len(section):]; section[0] != 0 {
			out = append(out, section...)
		}
	}
	path := filepath.Join(tb.TempDir(), "bare.wasm")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func loadFile(tb testing.TB, host *plugins.Host, path, config string) error {
	tb.Helper()
	_, err := host.Build(tb.Context(), []plugins.Spec{{Name: "rooms", Plugin: path, Config: json.RawMessage(config), Time: time.Second}}, nil)
	return err
}

// try is what a user does: join or send (name is the room), broadcast, or
// direct (name is the receiver).
func try(tb testing.TB, chain *plugins.Chain, action, name, user, claims string) router.Verdict {
	tb.Helper()
	e := event(action, name, user, claims)
	if err := chain.Judge(e); err != nil {
		tb.Fatal(err)
	}
	return e.Verdict
}

func event(action, name, user, claims string) *router.Event {
	e := &router.Event{
		Hook: router.HookMessage, Kind: router.KindRoom, User: user, Claims: []byte(claims), Conn: 1, Seq: 1,
		Payload: []byte(`"hi"`), States: new([]router.State),
	}
	switch action {
	case "join":
		e.Hook, e.Kind, e.Payload, e.Room = router.HookJoin, 0, nil, name
	case "send":
		e.Room = name
	case "broadcast":
		e.Kind = router.KindBroadcast
	case "direct":
		e.Kind, e.Target = router.KindDirect, name
	}
	return e
}
