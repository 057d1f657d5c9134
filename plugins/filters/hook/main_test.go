package main_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/plugins"
	"sluice/plugins/filters"
	"sluice/plugins/lookup"
	"sluice/router"
)

// cache is a folder for compiled code, which takes longer to make for a guest in
// Go than all else.
var cache string

func TestMain(m *testing.M) {
	var err error
	if cache, err = os.MkdirTemp("", "sluice-hook-"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(cache)
		os.Exit(code)
	}))
}

// load starts the real host with the filter as it is committed. answers, unless
// nil, stands in for the network.
func load(tb testing.TB, spec plugins.Spec, answers func(filter string, e *router.Event) lookup.Result) *plugins.Chain {
	tb.Helper()
	host, err := plugins.NewHost(plugins.HostOptions{
		CacheDir: filepath.Join(cache, "code"), Lanes: 2, Log: slog.New(slog.DiscardHandler), Builtins: filters.FS, Lookup: answers,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := host.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	spec.Name, spec.Plugin = "hook", "builtin:hook"
	spec.Time = time.Second // a busy machine is slow, and that is not what is tested
	chain, err := host.Build(tb.Context(), []plugins.Spec{spec}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return chain
}

// asks is an entry whose lookup asks a URL.
func asks(url string) plugins.Spec {
	return plugins.Spec{Lookup: &lookup.Spec{HTTP: &lookup.HTTP{URL: url, Method: "POST"}, Timeout: 5 * time.Second}}
}

func judge(tb testing.TB, chain *plugins.Chain, e *router.Event) router.Verdict {
	tb.Helper()
	e.States = new([]router.State)
	if err := chain.Judge(e); err != nil {
		tb.Fatal(err)
	}
	return e.Verdict
}

func message(content string) *router.Event {
	return &router.Event{Hook: router.HookMessage, Kind: router.KindRoom, Room: "chat:1", User: "ann", Conn: 1, Seq: 2, Payload: []byte(content)}
}
