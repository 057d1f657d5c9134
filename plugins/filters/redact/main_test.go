package redact_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"log/slog"
	"os"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"sluice/plugins"
	"sluice/router"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newHost starts the real host with the built filter.
func newHost(tb testing.TB) *plugins.Host {
	tb.Helper()
	return hostOf(tb, readModule(tb))
}

func readModule(tb testing.TB) []byte {
	tb.Helper()
	wasm, err := os.ReadFile("redact.wasm")
	if err != nil {
		tb.Fatal(err)
	}
	return wasm
}

func hostOf(tb testing.TB, wasm []byte) *plugins.Host {
	tb.Helper()
	host, err := plugins.NewHost(plugins.HostOptions{
		Lanes: 1, Log: slog.New(slog.DiscardHandler), Builtins: fstest.MapFS{"redact/redact.wasm": {Data: wasm}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = host.Close(context.Background()) })
	return host
}

// section is where a custom section is in the module, from its identifier to its
// end, and where its content begins.
func section(tb testing.TB, wasm []byte, name string) (begin, content, end int) {
	tb.Helper()
	for at := 8; at < len(wasm); at = end {
		size, used := binary.Uvarint(wasm[at+1:])
		body := at + 1 + used
		end = body + int(size)
		if n, used := binary.Uvarint(wasm[body:]); wasm[at] == 0 && string(wasm[body+used:body+used+int(n)]) == name {
			return at, body + used + int(n), end
		}
	}
	tb.Fatalf("there is no section %s", name)
	return 0, 0, 0
}

func withoutSchema(tb testing.TB) []byte {
	tb.Helper()
	wasm := readModule(tb)
	begin, _, end := section(tb, wasm, "sluice.schema")
	return slices.Delete(wasm, begin, end)
}

func build(tb testing.TB, host *plugins.Host, config string) (*plugins.Chain, error) {
	tb.Helper()
	return host.Build(tb.Context(), []plugins.Spec{{
		// The race detector and a busy machine slow the filter down; how long it
		// takes is not what is tested by most.
		Name: "redact", Plugin: "builtin:redact", Config: json.RawMessage(config), Time: time.Second,
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

func message(tb testing.TB, chain *plugins.Chain, content string) router.Verdict {
	tb.Helper()
	e := &router.Event{
		Hook: router.HookMessage, Kind: router.KindRoom, Room: "chat:a", User: "ann", Conn: 1, Seq: 1,
		Payload: []byte(content), States: new([]router.State),
	}
	if err := chain.Judge(e); err != nil {
		tb.Fatal(err)
	}
	return e.Verdict
}

// after is the content that is passed on.
func after(tb testing.TB, chain *plugins.Chain, content string) string {
	tb.Helper()
	v := message(tb, chain, content)
	if v.Action != router.Continue || v.Failure != "" {
		tb.Fatalf("%.200q: got %+v", content, v)
	}
	if v.Payload == nil {
		return content
	}
	return string(v.Payload)
}

// quote is a text as a JSON string, without escapes that are not needed.
func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}
