package wire

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestValidJSONHasNoFault(t *testing.T) {
	for _, text := range validJSON {
		if reason := CheckJSON([]byte(text)); reason != "" {
			t.Errorf("%.60q: %s", text, reason)
		}
		if !json.Valid([]byte(text)) {
			t.Errorf("%.60q: encoding/json disagrees", text)
		}
	}
}

func TestInvalidJSONIsRefusedSayingWhereAndWhy(t *testing.T) {
	for text, want := range invalidJSON {
		if got := CheckJSON([]byte(text)); !strings.HasSuffix(got, want) {
			t.Errorf("%.60q: got %q, want …%q", text, got, want)
		}
		if json.Valid([]byte(text)) && utf8.ValidString(text) && nesting(text) <= MaxDepth {
			t.Errorf("%.60q: encoding/json disagrees", text)
		}
	}
}

// nesting is the depth of valid JSON without brackets in strings.
func nesting(text string) (deepest int) {
	depth := 0
	for _, c := range text {
		switch c {
		case '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ']', '}':
			depth--
		}
	}
	return deepest
}

var validJSON = []string{
	`0`, `-0`, `7`, `-10.25`, `1e5`, `1E+5`, `0.5e-07`, `true`, `false`, `null`, `""`, " \t\r\n1 \t\r\n",
	`[]`, `{}`, `[ ]`, `{ }`, `[1,2]`, `[[],{}]`, `{"a":1}`, `{"a":1,"a":2}`, `{"":{"":[{}]}}`, `[{"a":1},[1,2],{"b":[3]}]`, "[1 , 2 ]", "{ \"a\" : 1 , \"b\" : 2 }",
	`"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00\ud800"`, "\"\x7f\u0080é€\U0001F600\U0010FFFF\ufffd\u2028\"",
	`"1234567"`, `"12345678"`, `"123456789"`, `"1234567\n"`, `"12345678é"`, "\"é1234567\"",
	strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat(`{"a":`, 64) + `1` + strings.Repeat("}", 64),
	strings.Repeat(`[{"a":[`, 21) + `[]` + strings.Repeat("]}]", 21), `[` + strings.Repeat(`{"a":[]},`, 1000) + `1]`,
}

var invalidJSON = map[string]string{
	``:                     "at byte 0: it ends too early",
	` `:                    "at byte 1: it ends too early",
	`x`:                    "at byte 0: a value was expected",
	"\xef\xbb\xbf":         "at byte 0: a value was expected",
	`tru`:                  "at byte 0: a value was expected",
	`nulL`:                 "at byte 0: a value was expected",
	`truex`:                "at byte 4: something follows the value",
	`NaN`:                  "at byte 0: a value was expected",
	`1 2`:                  "at byte 2: something follows the value",
	`01`:                   "at byte 0: a digit was expected, or the number has a leading zero",
	`-`:                    "at byte 1: it ends too early",
	`-x`:                   "at byte 1: a digit was expected, or the number has a leading zero",
	`-01`:                  "at byte 1: a digit was expected, or the number has a leading zero",
	`+1`:                   "at byte 0: a value was expected",
	`.5`:                   "at byte 0: a value was expected",
	`1.`:                   "at byte 2: it ends too early",
	`1.e1`:                 "at byte 2: a digit was expected, or the number has a leading zero",
	`1e`:                   "at byte 2: it ends too early",
	`1e+`:                  "at byte 3: it ends too early",
	`1ex`:                  "at byte 2: a digit was expected, or the number has a leading zero",
	`0x10`:                 "at byte 1: something follows the value",
	`"`:                    "at byte 1: it ends too early",
	`"abcdefgh`:            "at byte 9: it ends too early",
	`"\`:                   "at byte 2: it ends too early",
	`"\"`:                  "at byte 3: it ends too early",
	`"\u12`:                "at byte 5: it ends too early",
	`"\u12x4"`:             "at byte 1: an escape sequence is not one of JSON's",
	`"\x41"`:               "at byte 1: an escape sequence is not one of JSON's",
	`"\U0041"`:             "at byte 1: an escape sequence is not one of JSON's",
	"\"\n\"":               "at byte 1: a control character in a string must be escaped",
	"\"1234567\x1f\"":      "at byte 8: a control character in a string must be escaped",
	"\"\xff\"":             "at byte 1: a string is not valid UTF-8",
	"\"\xc0\x80\"":         "at byte 1: a string is not valid UTF-8",
	"\"\xe0\x80\x80\"":     "at byte 1: a string is not valid UTF-8",
	"\"é\xe2\x82\"":        "at byte 3: a string is not valid UTF-8",
	"\"\xed\xa0\x80\"":     "at byte 1: a string is not valid UTF-8",
	"\"\xf4\x90\x80\x80\"": "at byte 1: a string is not valid UTF-8",
	"\"\xe2\x82":           "at byte 1: a string is not valid UTF-8",
	`'a'`:                  "at byte 0: a value was expected",
	`[`:                    "at byte 1: it ends too early",
	`[1`:                   "at byte 2: it ends too early",
	`[1,`:                  "at byte 3: it ends too early",
	`[1,]`:                 "at byte 3: a value was expected",
	`[,1]`:                 "at byte 1: a value was expected",
	`[1 2]`:                "at byte 3: a comma or ] was expected",
	`[1}`:                  "at byte 2: a comma or ] was expected",
	`[1]]`:                 "at byte 3: something follows the value",
	`]`:                    "at byte 0: a value was expected",
	`{`:                    "at byte 1: it ends too early",
	`{1:2}`:                "at byte 1: a field name in quotes was expected",
	`{"a"}`:                "at byte 4: a colon was expected",
	`{"a" 1}`:              "at byte 5: a colon was expected",
	`{"a":}`:               "at byte 5: a value was expected",
	`{"a":1,}`:             "at byte 7: a field name in quotes was expected",
	`{"a":1]`:              "at byte 6: a comma or } was expected",
	`{"a":1 "b":2}`:        "at byte 7: a comma or } was expected",
	`{"a":[{]}`:            "at byte 7: a field name in quotes was expected",
	`{"a"`:                 "at byte 4: it ends too early",
	`{"a":1,"b":2]`:        "at byte 12: a comma or } was expected",
	`// comment`:           "at byte 0: a value was expected",
	"1\x00":                "at byte 1: something follows the value",
	"\u00a01":              "at byte 0: a value was expected",

	strings.Repeat("[", 65) + strings.Repeat("]", 65): "arrays and objects are nested deeper than 64",
	strings.Repeat("[", 1<<20):                        "arrays and objects are nested deeper than 64",
	strings.Repeat(`{"a":`, 65):                       "arrays and objects are nested deeper than 64",
}

func TestTheFrameItselfCountsAsOneOfTheNestedObjects(t *testing.T) {
	content := strings.Repeat("[", 63) + strings.Repeat("]", 63)
	if _, err := decode(`{"type":"chat","content":` + content + `}`); err != nil {
		t.Error(err)
	}
	_, err := decode(`{"type":"chat","content":[` + content + `]}`)
	if err == nil || err.Reason != "arrays and objects are nested deeper than 64" {
		t.Errorf("65 deep: %v", err)
	}
}

func TestEveryByteIsJudgedAloneAndAmongOthers(t *testing.T) {
	for b := range 256 {
		for _, around := range []string{"", "        ", "~~~~~~~~", "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f"} {
			text := []byte(`"` + around + string([]byte{byte(b)}) + around + `"`)
			if got, want := CheckJSON(text) == "", json.Valid(text) && utf8.Valid(text); got != want {
				t.Errorf("%q: valid is %v, want %v", text, got, want)
			}
		}
	}
}

// Every position in a word of eight, at every alignment, is found.
func TestAStringsEndIsFoundWhereverItLies(t *testing.T) {
	special := map[string]bool{`\n`: true, `é`: true, "\x01": false, "\xff": false, "\"": false}
	for length := range 40 {
		for piece, valid := range special {
			text := `"` + strings.Repeat("~", length) + piece + strings.Repeat("!", 20-length%20) + `"`
			if got := CheckJSON([]byte(text)) == ""; got != valid {
				t.Errorf("%q: valid is %v", text, got)
			}
		}
	}
}
