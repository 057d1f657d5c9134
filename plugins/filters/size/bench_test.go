package size_test

import (
	"strings"
	"testing"

	"sluice/router"
)

func BenchmarkSize(b *testing.B) {
	object := `{"text":"` + strings.Repeat("lorem ipsum ", 80) + `","tags":[1,2,3],"at":{"x":1.5,"y":-2}}`
	for _, c := range []struct{ name, config, content string }{
		{"bytes", `{"max_bytes":4096}`, object},
		{"bytes by room", `{"max_bytes":4096,"rooms":[{"match":"a:*","max_bytes":1},{"match":"chat:*","max_bytes":2048}]}`, object},
		{"shape of text", `{"max_bytes":4096,"max_depth":8,"max_items":100,"max_string":2048}`, object},
		{"shape of numbers", `{"max_bytes":4096,"max_depth":8,"max_items":1000}`, array(512)},
		{"refused", `{"max_bytes":100}`, object},
	} {
		b.Run(c.name, func(b *testing.B) {
			chain := load(b, c.config)
			e := &router.Event{
				Hook: router.HookMessage, Kind: router.KindRoom, Room: "chat:lobby", User: "ann", Conn: 1, Seq: 1,
				Payload: []byte(c.content), States: new([]router.State),
			}
			b.SetBytes(int64(len(c.content)))
			b.ReportAllocs()
			for b.Loop() {
				if err := chain.Judge(e); err != nil {
					b.Fatal(err)
				}
			}
			if e.Verdict.Failure != "" {
				b.Fatal(e.Verdict.Failure)
			}
		})
	}
}
