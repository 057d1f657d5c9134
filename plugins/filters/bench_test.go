package filters

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sluice/plugins"
	"sluice/plugins/keys"
	"sluice/router"
)

const benchSecret = "0123456789abcdef0123456789ABCDEF"

// defaultChain is auth, size and validate as a node runs them by default.
func defaultChain(b *testing.B) *plugins.Chain {
	b.Helper()
	host, err := plugins.NewHost(plugins.HostOptions{Lanes: 1, Builtins: FS, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = host.Close(context.Background()) })
	chain, err := host.Build(b.Context(), []plugins.Spec{
		{Name: "auth", Plugin: "builtin:auth", Config: json.RawMessage(`{"issuer":"https://id.example","audience":"chat"}`),
			Keys: []keys.Spec{{Alg: "HS256", Secret: keys.NewSecret(benchSecret)}}},
		{Name: "size", Plugin: "builtin:size", Config: json.RawMessage(`{"max_bytes":4096}`)},
		{Name: "validate", Plugin: "builtin:validate", Config: json.RawMessage(`{"rules":[{"rooms":["chat:*"],"schema":{
			"type":"object","required":["id","kind","at","text"],"additionalProperties":false,"properties":{
				"id":{"type":"integer","minimum":1},"kind":{"enum":["text","image","system"]},
				"at":{"type":"string","pattern":"^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$"},
				"text":{"type":"string","minLength":1,"maxLength":2000},"tags":{"type":"array","items":{"type":"string"}}}}}]}`)},
	}, nil)
	if err != nil {
		b.Fatal(err)
	}
	return chain
}

func judgeAll(b *testing.B, chain *plugins.Chain, e *router.Event) {
	b.ReportAllocs()
	for b.Loop() {
		if err := chain.Judge(e); err != nil {
			b.Fatal(err)
		}
	}
	if v := &e.Verdict; v.Action != router.Continue || v.Failure != "" {
		b.Fatalf("%+v", *v)
	}
}

// BenchmarkDefaultChain is what the three filters cost together: a message,
// and a connect by a token.
func BenchmarkDefaultChain(b *testing.B) {
	chain := defaultChain(b)
	for _, size := range []int{128, 1024} {
		b.Run(fmt.Sprintf("message/%d", size), func(b *testing.B) {
			head := `{"id":123456,"kind":"text","at":"2026-01-02T03:04:05Z","tags":["a","b"],"text":"`
			content := head + strings.Repeat("x", size-len(head)-2) + `"}`
			judgeAll(b, chain, &router.Event{
				Hook: router.HookMessage, Kind: router.KindRoom, Time: time.Now().UnixNano(), Conn: 1, Seq: 1,
				Room: "chat:lobby", User: "ann", Payload: []byte(content), States: new([]router.State),
			})
		})
	}
	b.Run("connect/HS256", func(b *testing.B) {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(benchSecret)}, nil)
		if err != nil {
			b.Fatal(err)
		}
		signed, err := signer.Sign(fmt.Appendf(nil, `{"sub":"ann","iss":"https://id.example","aud":"chat","exp":%d,"name":"Ann Example","jti":"0b7f9d3c-6c3e-4d0e-9f43-3f1a3a0f9b5e",
			"grants":[{"rooms":"chat:*","allow":["join","send"]},{"allow":["direct"]}]}`, time.Now().Add(time.Hour).Unix()))
		if err != nil {
			b.Fatal(err)
		}
		token, err := signed.CompactSerialize()
		if err != nil {
			b.Fatal(err)
		}
		request := httptest.NewRequest(http.MethodGet, "/ws", nil)
		request.Header.Set("Authorization", "Bearer "+token)
		judgeAll(b, chain, &router.Event{
			Hook: router.HookConnect, Kind: router.KindNew, Time: time.Now().UnixNano(), Conn: 1, Seq: 1,
			Remote: "192.0.2.1", Request: request, States: new([]router.State),
		})
	})
}
