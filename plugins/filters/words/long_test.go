package words_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice/router"
)

// Longer strings are gone through in several places at once, piece by piece.

func TestAWordIsFoundWhereverItIsInALongString(t *testing.T) {
	words := []string{"needle", strings.Repeat("ab", 100) + "c"}
	chain := load(t, object{"words": words})
	hay := strings.Repeat("need abab needl nee ", 160)
	for _, length := range []int{31, 32, 33, 100, 128, 1024, 1040, 2100, 3000} {
		if v := message(t, chain, `["`+hay[:length]+`"]`); v.Action != router.Continue {
			t.Fatalf("%d bytes without a word: %+v", length, v)
		}
		for _, word := range words {
			for at := 0; at+len(word) <= length; at++ {
				content := `["` + hay[:at] + word + hay[at+len(word):length] + `"]`
				if v := message(t, chain, content); v.Action != router.Deny {
					t.Fatalf("a word of %d bytes at %d of %d is not found: %+v", len(word), at, length, v)
				}
			}
		}
	}
}

func TestLongStringsHaveTheWordsThatANaiveSearchFinds(t *testing.T) {
	host := newHost(t)
	r := rand.New(rand.NewPCG(5, 6))
	pick := func(alphabet []rune, n int) string {
		out := make([]rune, n)
		for i := range out {
			out[i] = alphabet[r.IntN(len(alphabet))]
		}
		return string(out)
	}
	found := map[bool]int{}
	for round := range 40 {
		alphabet := []rune(`abABab` + []string{``, ` `, `"`, `ä`, "\n\x7f"}[round%5])
		var words []string
		for range 1 + r.IntN(4) {
			words = append(words, pick(alphabet, 6+r.IntN(8)))
		}
		fold := round%3 != 0
		chain, err := build(t, host, object{"words": words, "case_sensitive": !fold})
		if err != nil {
			t.Fatal(err)
		}
		mask, err := build(t, host, object{"words": words, "mode": "mask"})
		if err != nil {
			t.Fatal(err)
		}
		for range 25 {
			value := pick(alphabet, r.IntN(400))
			content, _ := json.Marshal(map[string]any{"k": []string{value, pick(alphabet, r.IntN(40))}})
			want := naive(string(content), words, fold)
			found[want]++
			if v := message(t, chain, string(content)); v.Failure != "" || (v.Action == router.Deny) != want {
				t.Fatalf("%q in %s, folded %v: got %+v, want a denial: %v", words, content, fold, v, want)
			}
			v := message(t, mask, string(content))
			if v.Payload == nil {
				v.Payload = content
			}
			if got, want := values(string(v.Payload))[0], masked(value, words); got != want {
				t.Fatalf("%q in %s: masked to %q, want %q", words, content, got, want)
			}
		}
		chain.Retire()
		mask.Retire()
	}
	if found[true] < 100 || found[false] < 100 {
		t.Errorf("the contents are not varied: %v", found)
	}
}

func TestAListOfMoreThan128DifferentBytesFindsEach(t *testing.T) {
	var words []string
	for c := rune(0x01); c < 0x180; c++ { // more than 128 different bytes
		words = append(words, fmt.Sprintf("~%c~", c))
	}
	for _, sensitive := range []bool{false, true} {
		chain := load(t, object{"words": words, "case_sensitive": sensitive})
		for c := rune(0x01); c < 0x180; c++ {
			content, _ := json.Marshal(fmt.Sprintf("%s~%c~", strings.Repeat("0", 40), c))
			if v := message(t, chain, string(content)); v.Action != router.Deny {
				t.Errorf("%q (case sensitive: %v) is not found: %+v", content, sensitive, v)
			}
		}
		if v := message(t, chain, `"~ab~cd~éa ~"`); v.Action != router.Continue {
			t.Errorf("got %+v", v)
		}
	}
}

func TestTheLargestListOfManyCharactersLoadsToo(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	words := make([]string, 10_000)
	for i := range words {
		word := make([]byte, 44)
		for j := range word {
			word[j] = byte('!' + r.IntN(94))
		}
		words[i] = string(word) + "п" + string(rune('а'+i%32)) + string(rune('α'+i%7))
	}
	chain := load(t, object{"words": words}) // longer rows, and fewer of them
	for _, word := range words[:50] {
		content, _ := json.Marshal(strings.Repeat("-", 50) + strings.ToUpper(word))
		if v := message(t, chain, string(content)); v.Action != router.Deny {
			t.Fatalf("got %+v", v)
		}
		content, _ = json.Marshal(word[:len(word)-2])
		if v := message(t, chain, string(content)); v.Action != router.Continue {
			t.Fatalf("got %+v", v)
		}
	}
}

// hostile are lists and contents that make most steps leave the table.
func hostile() map[string][2]any {
	var deep []string
	r := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		word := make([]byte, 255)
		for i := range word {
			word[i] = "ab"[r.IntN(2)]
		}
		deep = append(deep, string(word))
	}
	var text strings.Builder
	for i := 0; text.Len() < 60_000; i++ {
		text.WriteString(deep[i%len(deep)][:254])
		text.WriteString("c")
	}
	small := make([]string, 5000)
	for i := range small {
		small[i] = fmt.Sprintf("%04d", i)
	}
	return map[string][2]any{
		"words that almost end, without a row": {object{"words": deep}, text.String()[:60_000]},
		"words that are no whole ones":         {object{"words": small, "whole_words": true}, strings.Repeat("x0123", 12_000)},
		"one string for each byte or two":      {object{"words": deep}, strings.Repeat(`a","`, 15_000)},
		"escapes":                              {object{"words": small}, strings.Repeat(`\n1`, 20_000)},
	}
}

// BenchmarkHostile is what contents of 60,000 bytes cost at most.
func BenchmarkHostile(b *testing.B) {
	for name, c := range hostile() {
		b.Run(name, func(b *testing.B) {
			chain := load(b, c[0])
			e := event(`["` + c[1].(string) + `"]`)
			for b.Loop() {
				if err := chain.Judge(e); err != nil {
					b.Fatal(err)
				}
			}
			if e.Verdict.Action != router.Continue || e.Verdict.Failure != "" {
				b.Fatalf("%+v", e.Verdict)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "ms/content")
		})
	}
}
