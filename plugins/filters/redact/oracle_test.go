package redact_test

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"sluice/plugins"
)

// The filter's patterns mean what those of package regexp do, leftmost-first.
var patterns = []string{
	`TCK-[0-9]{6}`, `a|ab`, `(a|ab)(c|bcd)(d*)`, `(?:a*b|b+)c?`, `x{2,4}y?`, `^a+|b+$`, `\b\w+\b`, `\Bb\B`, `[^a-c\s]+`, `.é?`, `(?:(?:a|b*)*c)+`, `(|a)+b`, `(a|b|ab|ba){1,3}`,
	`\bfoo\b|\bfoobar\b`, `[a-c]{1,3}[^\d]`, `(?:a|(?:b|c)+?)`, `"[^"]*"`, `\\.`, `日|[é-ü]+`, `(a*)*b|a`, `(?:a?){3}b`, `$|a`, `a$`, `^(?:a|b)`, `[\w.-]+-x`, `(?:^|b)a`, `a.*b|a`,
}

func FuzzPatternsMatchAsGoes(f *testing.F) {
	for i, text := range []string{
		"see TCK-123456", "abcd ab", "aababcbc", "xxxxxxy", "aab", "foo foobar _", "abab", "dé日\n", "", "aaabaac", "aaaaaab", "bca", "-x a-x", "é日üa", "a b\ta", "aaaaaaaaaaaaaaaa",
	} {
		f.Add(uint8(i), "", text)
		f.Add(uint8(i+12), "", text)
	}
	f.Add(uint8(0), `(a|b)*c|d{2}`, "abacdd")
	host := newHost(f)
	if _, err := build(f, host, `{}`); err != nil { // keeps the compiled module in the host
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, number uint8, pattern, text string) {
		if pattern == "" {
			pattern = patterns[int(number)%len(patterns)]
		}
		if len(pattern) > 60 || len(text) > 2000 || !utf8.ValidString(pattern) || !utf8.ValidString(text) {
			t.Skip("not what is looked at")
		}
		config, _ := json.Marshal(map[string]any{
			"cards": false, "emails": false, "replace": "#", "patterns": []any{map[string]any{"name": "x", "pattern": pattern}},
		})
		chain, err := build(t, host, string(config))
		if err != nil {
			if strings.Contains(err.Error(), "refuses") { // the filter, or its schema
				t.Skip("not a pattern here")
			}
			t.Fatal(err)
		}
		defer chain.Retire()
		want := regexp.MustCompile(pattern).ReplaceAllLiteralString(text, "#")
		var got string
		if err := json.Unmarshal([]byte(after(t, chain, quote(text))), &got); err != nil || got != want {
			t.Fatalf("pattern %q, text %q: got %q, want %q (%v)", pattern, text, got, want, err)
		}
	})
}

// redactCards does what the filter does to card numbers, by trying everything.
func redactCards(text string) string {
	separated := regexp.MustCompile(`^[0-9]+(?:(?: [0-9]+)*|(?:-[0-9]+)*)$`)
	word := regexp.MustCompile(`[0-9A-Za-z_]`)
	fraction := func(point, digit byte) bool { return (point == '.' || point == ',') && digit >= '0' && digit <= '9' }
	for i := 0; i < len(text); i++ {
		if i > 0 && (word.MatchString(text[i-1:i]) || i > 1 && fraction(text[i-1], text[i-2])) {
			continue
		}
		for end := min(len(text), i+38); end > i; end-- {
			if end < len(text) && (word.MatchString(text[end:end+1]) || end+1 < len(text) && fraction(text[end], text[end+1])) {
				continue
			}
			if s := text[i:end]; separated.MatchString(s) && isCard(strings.NewReplacer(" ", "", "-", "").Replace(s)) {
				return text[:i] + "#" + strings.TrimPrefix(redactCards("\x00"+text[end:]), "\x00")
			}
		}
	}
	return text
}

func isCard(digits string) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			d *= 2
		}
		sum += d/10 + d%10
	}
	if sum%10 != 0 || len(digits) < 13 || len(digits) > 19 {
		return false
	}
	issuers := []struct {
		from, to string
		lengths  []int
	}{
		{"4", "4", []int{13, 16, 19}}, {"51", "55", []int{16}}, {"2221", "2720", []int{16}}, {"34", "34", []int{15}}, {"37", "37", []int{15}},
		{"6011", "6011", []int{16, 17, 18, 19}}, {"644", "659", []int{16, 17, 18, 19}}, {"62", "62", []int{16, 17, 18, 19}}, {"3528", "3589", []int{16, 17, 18, 19}},
		{"300", "305", []int{14, 16, 17, 18, 19}}, {"36", "36", []int{14, 15, 16, 17, 18, 19}}, {"38", "39", []int{14, 16, 17, 18, 19}}, {"2200", "2204", []int{16, 17, 18, 19}},
		{"5018", "5018", nil}, {"5020", "5020", nil}, {"5038", "5038", nil}, {"5893", "5893", nil}, {"6304", "6304", nil}, {"6759", "6763", nil},
	}
	for _, issuer := range issuers {
		prefix, _ := strconv.Atoi(digits[:len(issuer.from)])
		from, _ := strconv.Atoi(issuer.from)
		to, _ := strconv.Atoi(issuer.to)
		if prefix < from || prefix > to {
			continue
		}
		for _, n := range issuer.lengths {
			if n == len(digits) {
				return true
			}
		}
		if issuer.lengths == nil {
			return true
		}
	}
	return false
}

// A digit of another number must not stand for a boundary that is not one: the
// rest of a text is judged with what is before it, which is never part of a word.
func TestTheOracleOfCardsKnowsCards(t *testing.T) {
	if got := redactCards("4111 1111 1111 1111 737 and a4111111111111111"); got != "# 737 and a4111111111111111" {
		t.Error(got)
	}
}

var address = func() *regexp.Regexp {
	const letter = `A-Za-z\x{C0}-\x{53F}`
	const label = `[` + letter + `0-9](?:[` + letter + `0-9-]*[` + letter + `0-9])?`
	return regexp.MustCompile(`[` + letter + "0-9_][" + letter + `0-9_!#$%'*+.^~-]*@(?:` + label + `\.)+[` + letter + `][` + letter + `0-9-]*[` + letter + `0-9]`)
}()

func FuzzCardsAndAddressesAreFoundAsByANaiveSearch(f *testing.F) {
	for _, text := range []string{
		"4111 1111 1111 1111 737", "pay 5555-5555-5555-4444, 378282246310005.", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 4", "0.4111111111111111", "a@b.cc", "x'y.z@a-b.cc.d", "é@é.éé", "a@b@c.dd.e",
		"a@b.cc@d.ee", "4111111111111111@example.org", "62000000000000056200000000000005", "_4222222222222 4222222222222", "日a@b.cc日", "6011 1111 1111 1117 6011", "a@b-.cc", "a@b.c-c", "a@b.c--",
	} {
		f.Add(text)
	}
	cards, emails := load(f, `{"emails":false,"replace":"#"}`), load(f, `{"cards":false,"replace":"#"}`)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 300 || !utf8.ValidString(text) || strings.Contains(text, "\x00") {
			t.Skip("not what is looked at")
		}
		for _, c := range []struct {
			chain *plugins.Chain
			want  string
		}{{cards, redactCards(text)}, {emails, address.ReplaceAllLiteralString(text, "#")}} {
			var got string
			if err := json.Unmarshal([]byte(after(t, c.chain, quote(text))), &got); err != nil || got != c.want {
				t.Fatalf("%q: got %q, want %q (%v)", text, got, c.want, err)
			}
		}
	})
}

// escapeAll writes every character that is asked for as \u escapes.
func escapeAll(text string, which func(i int) bool) string {
	var out strings.Builder
	out.WriteByte('"')
	for i, r := range text {
		if !which(i) {
			q := quote(string(r))
			out.WriteString(q[1 : len(q)-1])
			continue
		}
		for _, unit := range utf16(r) {
			out.WriteString(`\u` + strconv.FormatUint(0x10000+uint64(unit), 16)[1:])
		}
	}
	return out.String() + `"`
}

func utf16(r rune) []uint16 {
	if r < 0x10000 {
		return []uint16{uint16(r)}
	}
	r -= 0x10000
	return []uint16{0xD800 + uint16(r>>10), 0xDC00 + uint16(r&0x3FF)}
}

func FuzzEscapesChangeNothing(f *testing.F) {
	f.Add("ann@example.org, 4111 1111 1111 1111", uint64(1))
	f.Add("é日😀 TCK-123456\n\"\\", uint64(12345))
	chain := load(f, `{"replace":"\u2028#","patterns":[{"name":"ticket","pattern":"TCK-\\d{6}|😀+"}]}`)
	f.Fuzz(func(t *testing.T, text string, which uint64) {
		if len(text) > 300 || !utf8.ValidString(text) {
			t.Skip("not what is looked at")
		}
		plain := after(t, chain, escapeAll(text, func(int) bool { return false }))
		escaped := after(t, chain, escapeAll(text, func(i int) bool { return which>>(i%64)&1 == 1 }))
		var a, b string
		if err := json.Unmarshal([]byte(plain), &a); err != nil {
			t.Fatalf("%q: %v", plain, err)
		}
		if err := json.Unmarshal([]byte(escaped), &b); err != nil || a != b {
			t.Fatalf("%q\nplain   %q\nescaped %q (%v)", text, a, b, err)
		}
	})
}
