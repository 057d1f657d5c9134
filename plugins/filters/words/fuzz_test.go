package words_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"sluice/plugins"
	"sluice/router"
)

// folded makes what simple folding makes equal the same: each character becomes
// the first of those that fold to it.
func folded(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
			least = min(least, c)
		}
		return least
	}, s)
}

// values are the string values of a document, decoded, in order.
func values(content string) []string {
	var out []string
	var isObject []bool // of the containers that are open
	key := false        // whether the next string of an object is a key
	for d := json.NewDecoder(strings.NewReader(content)); ; {
		d.UseNumber()
		token, err := d.Token()
		if err != nil {
			return out
		}
		inObject := len(isObject) > 0 && isObject[len(isObject)-1]
		switch token := token.(type) {
		case json.Delim:
			if token == '{' || token == '[' {
				isObject = append(isObject, token == '{')
			} else {
				isObject = isObject[:len(isObject)-1]
			}
			key = true
			continue
		case string:
			if inObject && key {
				key = false
				continue
			}
			out = append(out, token)
		}
		key = true
	}
}

// naive is what the filter ought to say, by encoding/json and strings.
func naive(content string, words []string, fold bool) bool {
	for _, value := range values(content) {
		for _, word := range words {
			if fold {
				value, word = folded(value), folded(word)
			}
			if strings.Contains(value, word) {
				return true
			}
		}
	}
	return false
}

// masked covers the words in a string.
func masked(value string, words []string) string {
	runes, cover := []rune(value), map[int]bool{}
	for _, word := range words {
		w := []rune(folded(word))
		for i := 0; i+len(w) <= len(runes); i++ {
			if folded(string(runes[i:i+len(w)])) == string(w) {
				for k := range w {
					cover[i+k] = true
				}
			}
		}
	}
	for i := range cover {
		runes[i] = '*'
	}
	return string(runes)
}

var oracleWords = []string{"spam", "am", "pama", "aab", "ab", "b\n", "ö", "süß", "é😀", "σας", "ёж", "k", "\"q\"", "\\", "half price"}

func FuzzTheFilterAgreesWithANaiveOne(f *testing.F) {
	for _, seed := range []string{
		`"spam"`, `{"spam":"x","y":["aaab"]}`, `"SP\u0061M\n"`, `"\u00f6 \ud83d\ude00 \ud83d É😀"`, `{"a":{"ab":1,"b":"B\n"}}`, `"ΣΑς \"Q\" \\ \/"`,
		`[["a","b"],"Ёж","K",{"":""}]`, `"\\u0061b"`, ` { "k" : "v" } `, `"aaaaaaaaaab"`, `"\uDC00\uD800"`, `["half  price","HALF PRICE"]`, `1`,
	} {
		f.Add(seed)
	}
	host := newHost(f)
	chainOf := func(config object) *plugins.Chain {
		chain, err := build(f, host, config)
		if err != nil {
			f.Fatal(err)
		}
		return chain
	}
	deny := chainOf(object{"words": oracleWords})
	exact := chainOf(object{"words": oracleWords, "case_sensitive": true})
	mask := chainOf(object{"words": oracleWords, "mode": "mask"})
	whole := chainOf(object{"words": oracleWords, "whole_words": true})
	f.Fuzz(func(t *testing.T, content string) {
		if !utf8.ValidString(content) || !json.Valid([]byte(content)) {
			return
		}
		for _, c := range []struct {
			chain *plugins.Chain
			fold  bool
		}{{deny, true}, {exact, false}} {
			v := message(t, c.chain, content)
			if want := naive(content, oracleWords, c.fold); v.Failure != "" || (v.Action == router.Deny) != want {
				t.Fatalf("%q, folded %v: got %+v, want a denial: %v", content, c.fold, v, want)
			}
		}
		if v := message(t, whole, content); v.Failure != "" || v.Action == router.Deny && !naive(content, oracleWords, true) {
			t.Fatalf("%q, whole words: got %+v", content, v)
		}
		v := message(t, mask, content)
		if v.Failure != "" || (v.Payload != nil) != naive(content, oracleWords, true) {
			t.Fatalf("%q: masked to %q (%s)", content, v.Payload, v.Failure)
		}
		if v.Payload == nil {
			return
		}
		before, after := values(content), values(string(v.Payload))
		if len(before) != len(after) || !json.Valid(v.Payload) {
			t.Fatalf("%q became %q", content, v.Payload)
		}
		for i := range before {
			if want := masked(before[i], oracleWords); after[i] != want {
				t.Fatalf("%q became %q, and %q in it %q, want %q", content, v.Payload, before[i], after[i], want)
			}
		}
	})
}

func TestTheFoldingIsUnicodesInItsScripts(t *testing.T) {
	host := newHost(t)
	if _, err := build(t, host, object{"words": []string{"x"}}); err != nil { // keeps the compiled module in the host
		t.Fatal(err)
	}
	for _, block := range [][2]rune{{'A', 0x17F}, {0x370, 0x52F}} {
		for r := block[0]; r <= block[1]; r++ {
			if unicode.SimpleFold(r) == r {
				continue
			}
			chain, err := build(t, host, object{"words": []string{string(r)}})
			if err != nil {
				t.Fatal(err)
			}
			for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
				if message(t, chain, `"`+string(c)+`"`).Action != router.Deny {
					t.Errorf("%c (%U) is not found as %c (%U)", r, r, c, c)
				}
			}
			chain.Retire()
		}
	}
}

func TestFoldingJoinsNothingElse(t *testing.T) {
	chain := load(t, object{"words": []string{"a", "z", "ß", "ı", "i", "đ", "þ", "ÿ", "π", "ϊ", "й", "ӏ"}})
	for r := rune(0x80); r < 0x2200; r++ {
		if r >= 0xD800 && r < 0xE000 {
			continue
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(string(r)); err != nil {
			t.Fatal(err)
		}
		want := naive(b.String(), []string{"a", "z", "ß", "ı", "i", "đ", "þ", "ÿ", "π", "ϊ", "й", "ӏ"}, true)
		if got := message(t, chain, strings.TrimSpace(b.String())).Action == router.Deny; got != want {
			t.Errorf("%c (%U): found %v, want %v", r, r, got, want)
		}
	}
}
