package rooms_test

import (
	"fmt"
	"strings"
	"testing"

	"sluice/router"
)

func BenchmarkRooms(b *testing.B) {
	claims := `{"sub":"ann","iss":"https://id.example","exp":1700000000,"name":"Ann Example","team":["red","blue","green"],"role":"user"}`
	var many []string
	for i := range 50 {
		many = append(many, fmt.Sprintf(`{"allow":["join","send"],"rooms":["area%d:**"]}`, i))
	}
	for _, c := range []struct{ name, config string }{
		{"a pattern", `{"rules":[{"allow":["join","send"],"rooms":["team:*:chat"]}]}`},
		{"the user", `{"rules":[{"allow":["join","send"],"rooms":["inbox:${user}","team:*:${user}","**:chat"]}]}`},
		{"a claim that is a list", `{"rules":[{"allow":["join","send"],"rooms":["team:${claims.team}:*"]}]}`},
		{"a condition on a claim", `{"rules":[{"allow":["send"],"when":{"claims":{"role":["admin","user"]}}}]}`},
		{"fifty rules before", `{"rules":[` + strings.Join(many, ",") + `,{"allow":["send"]}]}`},
		{"denied", `{"rules":[{"allow":["join"]}]}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			chain := load(b, c.config)
			e := event("send", "team:green:chat", "ann", claims)
			b.ReportAllocs()
			for b.Loop() {
				if err := chain.Judge(e); err != nil {
					b.Fatal(err)
				}
			}
			if (e.Verdict.Action == router.Deny) != (c.name == "denied") || e.Verdict.Failure != "" {
				b.Fatalf("%+v", e.Verdict)
			}
		})
	}
}
