package compare

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"context"

	"sluice/plugins"
	"sluice/plugins/filters"
	"sluice/router"
)

// filter judges by a chain of one filter, on the path that a node's messages
// take: a lane, the event written into the guest's memory, one metered call,
// the answer checked.
func filter(spec plugins.Spec) func(testing.TB) func(message) bool {
	return func(t testing.TB) func(message) bool {
		host, err := plugins.NewHost(plugins.HostOptions{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Builtins: filters.FS})
		if err != nil {
			t.Fatal(err)
		}
		chain, err := host.Build(context.Background(), []plugins.Spec{spec}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			chain.Retire()
			_ = host.Close(context.Background())
		})
		event := router.Event{Hook: router.HookMessage, Kind: router.KindRoom, Conn: 1, Room: "chat:1", User: "ann",
			Remote: "192.0.2.1", Time: time.Now().UnixNano(), States: new([]router.State)}
		return func(m message) bool {
			event.Payload = m.json
			event.Seq++
			if err := chain.Judge(&event); err != nil {
				t.Fatal(err)
			}
			if event.Verdict.Failure != "" {
				t.Fatalf("the filter failed: %+v", event.Verdict)
			}
			return event.Verdict.Action == router.Continue
		}
	}
}
