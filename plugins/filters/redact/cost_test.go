package redact_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"sluice/router"
)

// hostile are contents of 64 KiB that a search with steps back, or one that
// looks at everything again for each candidate, would take long for.
func hostile() map[string]string {
	fill := func(part string) string {
		s := strings.Repeat(part, 65_534/len(part))
		return `"` + s + strings.Repeat("x", 65_534-len(s)) + `"`
	}
	return map[string]string{
		"digits one by one": fill("4 "), "one long number": fill("4"), "numbers that are nearly cards": fill("4111 1111 1111 1112 "), "cards": fill("4111111111111111 "),
		"at signs": fill("@"), "addresses without a point": fill("a@"), "one long local part": fill("a")[:65_000] + `@b.c"`, "one long domain": `"a@` + fill("b.")[3:],
		"addresses": fill("a@b.cc "), "escapes": fill(`\u0061`), "escaped at signs": fill(`a\u0040b.cc `), "many strings": "[" + strings.TrimSuffix(strings.Repeat(`"4@",`, 13_106), ",") + "]",
		"many keys": "{" + strings.TrimSuffix(strings.Repeat(`"4":"",`, 9_361), ",") + "}", "white space behind strings": `["",` + strings.Repeat(" ", 65_500) + `""]`,
		"a slow start": fill("4-4 "), "not ASCII": fill("é"), "numbers": "[" + strings.Repeat("4,", 32_700) + "4]",
	}
}

func TestHostileContentIsLookedThroughInTime(t *testing.T) {
	chain := load(t, `{}`)
	for name, content := range hostile() {
		t.Run(name, func(t *testing.T) {
			from := time.Now()
			v := message(t, chain, content)
			t.Logf("%d bytes: %v", len(content), time.Since(from).Round(time.Microsecond))
			if v.Failure != "" || (v.Action != router.Continue && v.Code != 413) {
				t.Errorf("got %d %d %q, failure %q", v.Action, v.Code, v.Reason, v.Failure)
			}
		})
	}
}

func TestTheModuleCarriesItsSchemaAndItsCapabilities(t *testing.T) {
	wasm := readModule(t)
	for name, file := range map[string]string{"sluice.schema": "schema.json", "sluice.meta": "meta.json"} {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, content, end := section(t, wasm, name); !bytes.Equal(wasm[content:end], want) {
			t.Errorf("the section %s is not %s: run make filters", name, file)
		}
	}
	if len(wasm) > 60<<10 {
		t.Errorf("it has %d bytes; it is to stay small", len(wasm))
	}
}

func BenchmarkRedact(b *testing.B) {
	prose := strings.Repeat("lorem ipsum dolor sit amet, ", 40)[:1022]
	card := strings.Repeat("lorem ipsum dolor sit amet, ", 40)[:900] + " 4111 1111 1111 1111 and ann@example.org"
	const ticket = `{"name":"ticket","pattern":"TCK-[0-9]{6}"}`
	for _, c := range []struct{ name, config, content string }{
		{"128 B of text", `{}`, quote(prose[:126])},
		{"1 KiB of text", `{}`, quote(prose)},
		{"1 KiB with a card and an address", `{}`, quote(card)},
		{"1 KiB of text, escaped", `{}`, quote("\n" + prose[:1020])},
		{"1 KiB of text, one pattern", `{"cards":false,"emails":false,"patterns":[` + ticket + `]}`, quote(prose)},
		{"1 KiB of text, all and one pattern", `{"patterns":[` + ticket + `]}`, quote(prose)},
		{"1 KiB of digits", `{}`, quote(strings.Repeat("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 2 ", 32)[:1022])},
		{"1 KiB of tickets", `{"patterns":[` + ticket + `]}`, quote(strings.Repeat("TCK-123456 ", 93)[:1022])},
	} {
		b.Run(c.name, func(b *testing.B) {
			chain := load(b, c.config)
			e := &router.Event{
				Hook: router.HookMessage, Kind: router.KindRoom, Room: "chat:lobby", User: "ann", Conn: 1, Seq: 1, States: new([]router.State),
			}
			b.SetBytes(int64(len(c.content)))
			b.ReportAllocs()
			content := []byte(c.content)
			for b.Loop() {
				e.Payload, e.Verdict = content, router.Verdict{}
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
