package filters

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"sluice/plugins"
	"sluice/router"
)

// The filters that most nodes will have on messages.
var policy = []plugins.Spec{
	{Name: "validate", Plugin: "builtin:validate", Config: json.RawMessage(`{"schema":{"type":"string","minLength":1,"maxLength":4096}}`)},
	{Name: "size", Plugin: "builtin:size", Config: json.RawMessage(`{"max_bytes":4096}`)},
	{Name: "words", Plugin: "builtin:words", Config: json.RawMessage(`{"words":["forbidden","casino"]}`)},
}

func chainOf(tb testing.TB, specs ...plugins.Spec) *plugins.Chain {
	tb.Helper()
	host, err := plugins.NewHost(plugins.HostOptions{Builtins: FS, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = host.Close(context.Background()) })
	chain, err := host.Build(context.Background(), specs, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return chain
}

func textEvent(size int) *router.Event {
	text := strings.Repeat("The quick brown fox jumps over the lazy dog. ", size/45+1)
	return &router.Event{
		Hook: router.HookMessage, Kind: router.KindRoom, Time: time.Now().UnixNano(), Conn: 1, Seq: 1, Remote: "192.0.2.1",
		Room: "chat:lobby", User: "ann", Claims: []byte(`{"sub":"ann","iss":"https://id.example","exp":4102444800}`), Payload: []byte(`"` + text[:size-2] + `"`), States: new([]router.State),
	}
}

// BenchmarkPolicy is a message that passes validate, size and words, through the
// host as a node asks it; and each of them alone.
func BenchmarkPolicy(b *testing.B) {
	for _, size := range []int{128, 1024} {
		e := textEvent(size)
		for _, spec := range policy {
			b.Run(fmt.Sprintf("%s/%d", spec.Name, size), func(b *testing.B) { judgeAll(b, chainOf(b, spec), e) })
		}
		b.Run(fmt.Sprintf("all/%d", size), func(b *testing.B) { judgeAll(b, chainOf(b, policy...), e) })
	}
}
