package assemblyscript_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"sluice/router"
)

func exercise(tb testing.TB) guest {
	tb.Helper()
	return load(tb, compile(tb, "testdata", "exercise.ts", "-O2", "--runtime", "incremental"), `{}`)
}

// ask calls a function of the exercise.
func (g guest) ask(tb testing.TB, args ...string) string {
	tb.Helper()
	content, err := json.Marshal(args)
	if err != nil {
		tb.Fatal(err)
	}
	v := g.judge(tb, message(string(content)))
	if v.Failure != "" {
		tb.Fatalf("%q: failure %s", args, v.Failure)
	}
	return string(v.Payload)
}

func FuzzRoomsMatchAsTheRouterMatchesThem(f *testing.F) {
	for _, seed := range [][2]string{
		{"chat:*", "chat:a"}, {"**", "a:b"}, {"*", "a:b"}, {"a*b*c", "abbc"}, {"**:*x", "a:b:xx"}, {"*a**b*", "xaabyb"}, {"**a*b", "a:ab"},
		{"a**", "a"}, {"*", ""}, {"**b*c", "b:bc"}, {"*:*:**", "::"}, {"**a*:b*c", "aa:a:bbc"}, {"***", "a"}, {"", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	g := exercise(f)
	f.Fuzz(func(t *testing.T, pattern, room string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(room) {
			t.Skip("not names")
		}
		p, err := router.ParsePattern(pattern)
		want := fmt.Sprintf("[%v,%v]", p.Match(room), strings.Contains(pattern, "**"))
		if got := g.ask(t, "match", pattern, room); (err == nil && got != want) || (err != nil && got[0] != '"') {
			t.Fatalf("pattern %q, room %q: got %s, the router says %s, %v", pattern, room, got, want, err)
		}
	})
}

func FuzzDocumentsAreReadAsEncodingJSONReadsThem(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-2,{"b":"\u00e9\ud83d\ude00\n\/"}],"c":null}`, ` [ true , false ] `, `""`, `[1,]`, `{"a"}`, `{"a":1,}`, `[,1]`, `nul`, `tru`, `"\x"`, `"\ud800"`,
		`"\ud800\ud800"`, `01`, `-`, `1.5`, `1e5`, `999999999999999`, `1000000000000000`, "\"\t\"", `[1 2]`, `{"a" 1}`, `{} {}`, `"`, `"\`, `"\u12`, ``, "\x00", `[[[[[]]]]]`, `-0`,
	} {
		f.Add(seed)
	}
	g := exercise(f)
	f.Fuzz(func(t *testing.T, document string) {
		if !utf8.ValidString(document) || strings.Count(document, "[")+strings.Count(document, "{") > 200 {
			t.Skip("not what a node hands over, or deep")
		}
		got := g.ask(t, "copy", document)
		if !json.Valid([]byte(document)) {
			if got != `"bad"` {
				t.Fatalf("%q: read as %s", document, got)
			}
			return
		}
		if got == `"bad"` && readable(document) {
			t.Fatalf("%q: not read", document)
		}
		if got != `"bad"` {
			if want := canonical(document); canonical(got) != want {
				t.Fatalf("%q: read as %s, want %s", document, got, want)
			}
		}
	})
}

// readable reports whether there is nothing in valid JSON that the reader leaves
// out: fractions, exponents, long numbers and lone surrogates.
func readable(document string) bool {
	if strings.Contains(document, `\u`) {
		return false
	}
	digits := 0
	for inString, i := false, 0; i < len(document); i++ {
		switch c := document[i]; {
		case c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case strings.IndexByte(".eE+", c) >= 0 && (i == 0 || document[i-1] >= '0' && document[i-1] <= '9'):
			return false
		case c >= '0' && c <= '9':
			if digits++; digits > 15 {
				return false
			}
		default:
			digits = 0
		}
	}
	return true
}

func canonical(document string) string {
	var v any
	d := json.NewDecoder(strings.NewReader(document))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return err.Error()
	}
	text, _ := json.Marshal(v)
	return strings.ReplaceAll(string(text), "-0", "0")
}

func TestBytesCompareAsGoComparesThem(t *testing.T) {
	g := exercise(t)
	words := []string{"", "a", "ab", "abab", "babab", "ä", "aä", "äbä", "€uro", "😀", "x😀", strings.Repeat("ab", 300)}
	for _, a := range words {
		for _, b := range words {
			after := -1
			if len(a) >= 2 {
				if after = strings.Index(a[2:], b); after >= 0 {
					after += 2
				}
			}
			want := fmt.Sprintf("[%v,%v,%v,%d,%d]", a == b, strings.HasPrefix(a, b), strings.HasSuffix(a, b), strings.Index(a, b), after)
			for _, kind := range []string{"bytes", "string"} {
				if got := g.ask(t, kind, a, b); got != want {
					t.Errorf("%s, %q and %q: got %s, want %s", kind, a, b, got, want)
				}
			}
		}
	}
}

func TestMistakesOfAFilterAreItsFailure(t *testing.T) {
	g := exercise(t)
	for room, want := range map[string]string{"get": "exit", "read": "exit", "meta": "exit", "long": "too_big"} {
		e := message("")
		e.Hook, e.Kind, e.Room = router.HookJoin, 0, room
		if v := g.judge(t, e); v.Failure != want {
			t.Errorf("%s: got %+v, want %s", room, v, want)
		}
	}
}

func TestNumbersAndSlices(t *testing.T) {
	g := exercise(t)
	for room, want := range map[string]string{
		"numbers":     "-9223372036854775808 18446744073709551615 -7 200 true 1.5 0",
		"abcdef":      "520",  // slice(2, -1) is empty, slice(-5, 2) has 2, slice(1) has 5
		"abcdefghijk": "3020", // slice(1) has 10, slice(9, 99) has 2
	} {
		e := message("")
		e.Hook, e.Kind, e.Room = router.HookJoin, 0, room
		if v := g.judge(t, e); v.Reason != want {
			t.Errorf("%s: got %+v, want %s", room, v, want)
		}
	}
}

func TestTheUnitTestsOfHelloPass(t *testing.T) {
	wasm := compile(t, "examples/hello", "--target", "debug")
	cmd := exec.Command("node", "--test", "--test-reporter", "tap")
	cmd.Dir = "examples/hello"
	cmd.Env = append(os.Environ(), "FILTER_WASM="+wasm)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "# pass 4") {
		t.Errorf("%v\n%s", err, out)
	}
}
