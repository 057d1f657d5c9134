package words_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"sluice/plugins"
	"sluice/router"
)

// dictionary makes n different words, in letters as frequent as in English.
func dictionary(n int) []string {
	const letters = "eeeeeeeeeeeetttttttttaaaaaaaaooooooooiiiiiiinnnnnnnsssssshhhhhhrrrrrrddddllllcccuuummmwwffggyyppbbvk"
	r := rand.New(rand.NewPCG(1, 2))
	seen, out := map[string]bool{}, make([]string, 0, n)
	for len(out) < n {
		word := make([]byte, 5+r.IntN(6))
		for i := range word {
			word[i] = letters[r.IntN(len(letters))]
		}
		if !seen[string(word)] {
			seen[string(word)] = true
			out = append(out, string(word))
		}
	}
	return out
}

func TestTenThousandWordsAreFoundEachByItself(t *testing.T) {
	words := dictionary(10_000)
	chain := load(t, object{"words": words})
	for i, word := range words {
		if i%50 != 0 {
			continue
		}
		content := fmt.Sprintf(`{"text":"0 %s 0"}`, strings.ToUpper(word))
		if v := message(t, chain, content); v.Action != router.Deny {
			t.Fatalf("%s is not found: %+v", word, v)
		}
	}
	if v := message(t, chain, `"0123456789 q q q"`); v.Action != router.Continue {
		t.Errorf("got %+v", v)
	}
}

func TestTheLargestListLoadsWithinTheMemoryAndTimeOfAFilter(t *testing.T) {
	var words []string
	r := rand.New(rand.NewPCG(3, 4))
	for range 10_000 {
		word := make([]rune, 52)
		for i := range word {
			word[i] = rune('a' + r.IntN(26))
		}
		words = append(words, string(word))
	}
	chain := load(t, object{"words": words}) // 520,000 bytes: nearly as many states
	for _, word := range words[:100] {
		content, _ := json.Marshal("x" + word)
		if v := message(t, chain, string(content)); v.Action != router.Deny {
			t.Fatalf("got %+v", v)
		}
		if v := message(t, chain, string(content[:len(content)-2])+`"`); v.Action != router.Continue {
			t.Fatalf("got %+v", v)
		}
	}
	words = append(words[:9_999], strings.Repeat("z", 255))
	for i := range 100 {
		words[i] = strings.Repeat("y", 200) + words[i]
	}
	if _, err := build(t, newHost(t), object{"words": words}); err == nil || !strings.Contains(err.Error(), "exceed 524288 bytes together") {
		t.Errorf("a longer list: %v", err)
	}
}

func TestMoreWordsAreRefused(t *testing.T) {
	_, err := build(t, newHost(t), object{"words": dictionary(10_001)})
	if err == nil || !strings.Contains(err.Error(), "words") || !strings.Contains(err.Error(), "10000") {
		t.Errorf("got %v", err)
	}
}

func TestMaskedContentMayNotOutgrowAMessage(t *testing.T) {
	chain := load(t, object{"words": []string{"a"}, "mode": "mask", "mask": "█"})
	if v := message(t, chain, `"`+strings.Repeat("a", 20_000)+`"`); v.Action != router.Continue || string(v.Payload) != `"`+strings.Repeat("█", 20_000)+`"` {
		t.Errorf("got %d, %d bytes", v.Action, len(v.Payload))
	}
	if v := message(t, chain, `"`+strings.Repeat("a", 30_000)+`"`); v.Action != router.Deny || v.Code != 413 {
		t.Errorf("got %+v", v.Action)
	}
}

func TestTheModuleCarriesItsSchemaAndImportsNothing(t *testing.T) {
	wasm, err := os.ReadFile("words.wasm")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(wasm), "\x0dsluice.schema"+string(schema)) {
		t.Error("the section sluice.schema is not schema.json: run make filters")
	}
	if strings.Contains(string(wasm), "\x06sluice\x03log") || len(wasm) > 64<<10 {
		t.Errorf("it has %d bytes, or imports", len(wasm))
	}
}

// text is content of about so many bytes, of words or of their beginnings.
func text(words []string, bytes int, whole bool) string {
	var b strings.Builder
	b.WriteString(`{"text":"`)
	for i := 0; b.Len() < bytes-2; i++ {
		word := words[i]
		if !whole {
			word = word[:len(word)/2+1]
		}
		b.WriteString(word)
		b.WriteByte(' ')
	}
	b.WriteString(`"}`)
	return b.String()
}

// BenchmarkWords is the cost of a message that passes: with ten thousand words,
// with one, and without the scan.
func BenchmarkWords(b *testing.B) {
	content := text(dictionary(20_000)[10_000:], 4096, true)
	beginnings := text(dictionary(10_000), 4096, false)
	clean := func(words []string) []string {
		var out []string
		for _, w := range words {
			if !strings.Contains(content+beginnings, w) {
				out = append(out, w)
			}
		}
		return out
	}
	many := clean(dictionary(10_000))
	for _, c := range []struct {
		name    string
		config  object
		content string
	}{
		{"10000 words", object{"words": many}, content},
		{"10000 words, their beginnings", object{"words": many}, beginnings},
		{"10000 words, masked", object{"words": many, "mode": "mask"}, content},
		{"10000 words, whole", object{"words": many, "whole_words": true}, content},
		{"10000 words, Cyrillic", object{"words": many}, `"` + strings.Repeat("Съешь же ещё этих мягких ", 90) + `"`},
		{"1 word", object{"words": []string{"zzzzzzzz"}}, content},
		{"no string", object{"words": many}, "[" + strings.Repeat("1,", 2046) + "1]"},
	} {
		b.Run(c.name, func(b *testing.B) {
			chain := load(b, c.config)
			e := event(c.content)
			b.SetBytes(int64(len(c.content)))
			b.ReportAllocs()
			for b.Loop() {
				if err := chain.Judge(e); err != nil {
					b.Fatal(err)
				}
			}
			if e.Verdict.Action != router.Continue || e.Verdict.Failure != "" {
				b.Fatalf("%+v", e.Verdict)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(c.content)), "ns/byte")
		})
	}
}

// BenchmarkStart is what an instance with ten thousand words takes to start.
func BenchmarkStart(b *testing.B) {
	host := newHost(b)
	config := object{"words": dictionary(10_000)}
	first, err := build(b, host, config) // compiles
	if err != nil {
		b.Fatal(err)
	}
	defer first.Retire()
	for b.Loop() {
		var chain *plugins.Chain
		if chain, err = build(b, host, config); err != nil {
			b.Fatal(err)
		}
		chain.Retire()
	}
	if perStart := b.Elapsed() / time.Duration(b.N); perStart > time.Second {
		b.Fatal(perStart)
	}
}
