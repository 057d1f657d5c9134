package size_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"sluice/plugins"
	"sluice/router"
)

// limits is a configuration as the oracle reads it; -1 is unlimited.
type limits struct{ depth, items, str int }

// judgeShape says by encoding/json what the filter ought to answer to valid
// JSON: "" or the reason.
func judgeShape(content string, l limits) string {
	type level struct {
		array bool
		items int
	}
	var open []level
	over := func(what string, limit int, unit string) string {
		return fmt.Sprintf("content %s more than %d%s, the limit here", what, limit, unit)
	}
	for d := json.NewDecoder(strings.NewReader(content)); ; {
		d.UseNumber()
		token, err := d.Token()
		if err != nil {
			return ""
		}
		delim, _ := token.(json.Delim)
		if delim == ']' || delim == '}' {
			open = open[:len(open)-1]
			continue
		}
		if n := len(open); n > 0 && open[n-1].array {
			if open[n-1].items++; l.items >= 0 && open[n-1].items > l.items {
				return over("has an array of", l.items, " items")
			}
		}
		if delim != 0 {
			deepest := 64
			if l.depth >= 0 {
				deepest = l.depth
			}
			if len(open) == deepest {
				return over("is nested", deepest, " deep")
			}
			open = append(open, level{array: delim == '['})
		}
		if s, ok := token.(string); ok && l.str >= 0 && len(s) > l.str {
			return over("has a string of", l.str, " bytes")
		}
	}
}

func FuzzTheFilterAgreesWithEncodingJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,2,{"b":"\u00e9\ud83d\ude00\ud83d\n"}],"c":null}`, `[[[[]]],[{},{}],"",-1.5e+10]`, ` "x" `, `"\\\"[{"`, `[true,false,null,0,"a"]`,
		`{"":{"":{"":""}}}`, "[\"\u2028äö\",[1,2,3,4,5,6,7,8]]", nested(64), nested(65), `"\uDC00\uD800"`, `[`, `"`, `{"a":1,"a":2}`,
	} {
		f.Add(seed)
	}
	type variant struct {
		limits
		chain *plugins.Chain
	}
	var variants []variant
	for _, l := range []limits{{3, 3, 4}, {-1, 2, -1}, {-1, -1, 9}, {0, -1, -1}} {
		config := map[string]int{"max_bytes": 1 << 20}
		for key, v := range map[string]int{"max_depth": l.depth, "max_items": l.items, "max_string": l.str} {
			if v >= 0 {
				config[key] = v
			}
		}
		raw, err := json.Marshal(config)
		if err != nil {
			f.Fatal(err)
		}
		variants = append(variants, variant{l, load(f, string(raw))})
	}
	f.Fuzz(func(t *testing.T, content string) {
		valid := utf8.ValidString(content) && json.Valid([]byte(content))
		for _, v := range variants {
			got := message(t, v.chain, "a", content)
			if got.Failure != "" {
				t.Fatalf("%q: failure %s", content, got.Failure)
			}
			if !valid {
				continue
			}
			if want := judgeShape(content, v.limits); got.Reason != want || (got.Action == router.Deny) != (want != "") {
				t.Fatalf("%+v, %q: got %d %q, want %q", v.limits, content, got.Action, got.Reason, want)
			}
		}
	})
}

func FuzzRoomsMatchAsTheRouterMatchesThem(f *testing.F) {
	for _, seed := range [][2]string{
		{"chat:*", "chat:a"}, {"**", "a:b"}, {"*", "a:b"}, {"a*b*c", "abbc"}, {"**:*x", "a:b:xx"}, {"*a**b*", "xaabyb"}, {"**a*b", "a:ab"},
		{"a**", "a"}, {"*", ""}, {"**b*c", "b:bc"}, {"*:*:**", "::"}, {"**a*:b*c", "aa:a:bbc"},
	} {
		f.Add(seed[0], seed[1])
	}
	host := newHost(f)
	if _, err := build(f, host, `{"max_bytes":1}`); err != nil { // keeps the compiled module in the host
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, pattern, room string) {
		p, err := router.ParsePattern(pattern)
		if err != nil || room == "" || len(room) > 255 || !utf8.ValidString(room) ||
			bytes.ContainsFunc([]byte(pattern), func(r rune) bool { return r < ' ' }) {
			t.Skip("not a pattern and a room")
		}
		config, err := json.Marshal(map[string]any{"rooms": []any{map[string]any{"match": pattern, "max_bytes": 1}}})
		if err != nil {
			t.Fatal(err)
		}
		chain, err := build(t, host, string(config))
		if err != nil {
			t.Fatalf("pattern %q: %v", pattern, err)
		}
		defer chain.Retire()
		if got := message(t, chain, room, "10").Action == router.Deny; got != p.Match(room) {
			t.Fatalf("pattern %q, room %q: the filter says %v, the router %v", pattern, room, got, p.Match(room))
		}
	})
}
