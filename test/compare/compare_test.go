package compare

import (
	"fmt"
	"strings"
	"testing"

	"sluice/plugins"
)

var all = []means{
	{"native Go", "the bytes", native},
	{"Sluice, C filter", "the whole event", filter(plugins.Spec{Name: "banned", Plugin: "policies/banned/banned.wasm"})},
	{"Sluice, builtin words", "the whole event", filter(plugins.Spec{Name: "words", Plugin: "builtin:words", Config: []byte(`{"words":["forbidden"]}`)})},
	{"CEL", "user, room, text", celText},
	{"CEL, from JSON", "user, room, JSON", celJSON},
	{"goja", "user, room, text", gojaText},
	{"goja, from JSON", "user, room, JSON", gojaJSON},
	{"OPA, wasm", "JSON input", opaWasm},
	{"OPA, library", "user, room, text", opaNative},
	{"HTTP hook", "JSON request", httpHook},
}

// long is text of n bytes without the word.
func long(n int) string {
	const phrase = "the quick brown ox jumps over lazy dogs of fame "
	return strings.Repeat(phrase, n/len(phrase)+1)[:n]
}

func TestEveryMeansAppliesTheSamePolicy(t *testing.T) {
	for _, by := range all {
		t.Run(by.name, func(t *testing.T) {
			judge := by.make(t)
			for _, c := range []struct {
				text string
				pass bool
			}{
				{"", true}, {"hello", true}, {word, false}, {"a " + word + " b", false}, {"forbidde n", true},
				{long(100), true}, {long(1000) + word, false}, {long(4000), true}, {"grüße, 世界 😀", true}, {"again " + word, false}, {"and again", true},
			} {
				if judge(say(c.text)) != c.pass {
					t.Errorf("%.40q: it says %v", c.text, !c.pass)
				}
			}
		})
	}
}

func BenchmarkBannedWord(b *testing.B) {
	for _, by := range all {
		for _, n := range []int{128, 1024} {
			b.Run(fmt.Sprintf("%s/%dB", by.name, n), func(b *testing.B) {
				judge := by.make(b)
				m := say(long(n - 2))
				b.ReportAllocs()
				for b.Loop() {
					if !judge(m) {
						b.Fatal("refused")
					}
				}
			})
		}
	}
}
