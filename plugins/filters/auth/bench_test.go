package auth_test

import (
	"maps"
	"slices"
	"testing"

	"sluice/router"
)

// One connect in the host, from the upgrade request to the identity.
func BenchmarkAuth(b *testing.B) {
	payload := claims(map[string]any{
		"iss": "https://id.example", "aud": "chat", "iat": now.Unix(), "jti": "0b7f9d3c-6c3e-4d0e-9f43-3f1a3a0f9b5e", "name": "Ann Example",
		"grants": []any{map[string]any{"rooms": "chat:*", "allow": []string{"join", "send"}}, map[string]any{"allow": []string{"direct"}}},
	})
	run := func(b *testing.B, n *node, token string, want router.Action) {
		e := event(bearer(token))
		b.ReportAllocs()
		for b.Loop() {
			if err := n.chain.Judge(e); err != nil {
				b.Fatal(err)
			}
		}
		if e.Verdict.Action != want || e.Verdict.Failure != "" {
			b.Fatalf("%+v", e.Verdict)
		}
	}
	const config = `{"issuer":"https://id.example","audience":"chat"}`
	for _, alg := range slices.Sorted(maps.Keys(pairs())) {
		b.Run(alg, func(b *testing.B) {
			p := pairs()[alg]
			run(b, start(b, config, p.spec), sign(b, p, nil, payload), router.Continue)
		})
	}
	b.Run("refused/signature", func(b *testing.B) { run(b, start(b, config), withKey(hs, payload, "x"), router.Deny) })
	b.Run("refused/malformed", func(b *testing.B) { run(b, start(b, config), repeat("x", 8192), router.Deny) })
	b.Run("refused/64 members", func(b *testing.B) {
		run(b, start(b, config), withKey(`{"alg":"HS256"`+many(63)+`}`, payload, "x"), router.Deny)
	})
	b.Run("refused/too large", func(b *testing.B) { run(b, start(b, config), repeat("x", 60000), router.Deny) })
	b.Run("claims of 500 members", func(b *testing.B) {
		run(b, start(b, `{}`), forge(hs, `{"sub":"ann","exp":4102444800`+many(500)+`}`), router.Continue)
	})
}
