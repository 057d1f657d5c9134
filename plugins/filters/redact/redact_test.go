package redact_test

import (
	"fmt"
	"strings"
	"testing"

	"sluice/plugins/plugintest"
	"sluice/router"
)

func TestWhatIsFoundIsReplacedAndTheRestStaysByteForByte(t *testing.T) {
	chain := load(t, `{"patterns":[{"name":"ticket","pattern":"TCK-[0-9]{6}","replace":"[ticket]"},{"name":"plus","pattern":"x+"}]}`)
	for _, c := range []struct{ name, content, want string }{
		{"nothing", ` { "a" : [1, 2.50, "b\u0041\n", null ] } `, ` { "a" : [1, 2.50, "b\u0041\n", null ] } `},
		{"a card number", `"pay 4111 1111 1111 1111, please"`, `"pay [redacted], please"`},
		{"an address", `"to ann.lee+x@mail.example.org!"`, `"to [redacted]!"`},
		{"a pattern with its own replacement", `"see TCK-123456"`, `"see [ticket]"`},
		{"a pattern with the general one", `"axxb"`, `"a[redacted]b"`},
		{"several strings and white space", ` [ "a@b.cc" , {"k": "TCK-000000" } ] `, ` [ "[redacted]" , {"k": "[ticket]" } ] `},
		{"keys are not touched", `{"a@b.cc":"a@b.cc","xx" : "xx"}`, `{"a@b.cc":"[redacted]","xx" : "[redacted]"}`},
		{"numbers are not touched", `[4111111111111111,"4111111111111111"]`, `[4111111111111111,"[redacted]"]`},
		{"escapes do not evade", `"ann\u0040example.org and \u0034111111111111111"`, `"[redacted] and [redacted]"`},
		{"an escape within a match goes with it, others stay", `"\u0041\tTCK\u002d123456\u00e9\/"`, `"\u0041\t[ticket]\u00e9\/"`},
		{"a surrogate pair stays", `"\ud83d\ude00 x \ud83d\ude00"`, `"\ud83d\ude00 [redacted] \ud83d\ude00"`},
		{"half of a pair stays", `"\ud83d x \ude00"`, `"\ud83d [redacted] \ude00"`},
		{"an escaped quote ends no string", `["\"x\"","x"]`, `["\"[redacted]\"","[redacted]"]`},
		{"what overlaps is replaced as one, by the first", `"axx@b.cc"`, `"[redacted]"`},
		{"what touches is replaced one by one", `"TCK-123456TCK-123456"`, `"[ticket][ticket]"`},
		{"a string alone", `"x"`, `"[redacted]"`},
		{"an empty string", `""`, `""`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := after(t, chain, c.content); got != c.want {
				t.Errorf("%s\ngot  %s\nwant %s", c.content, got, c.want)
			}
		})
	}
}

func TestAReplacementIsEscaped(t *testing.T) {
	chain := load(t, `{"replace":"\"\\\n\u0001é"}`)
	if got, want := after(t, chain, `"a@b.cc"`), `"\"\\\n\u0001é"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTheReplacementOfOverlapsIsTheFirsts(t *testing.T) {
	chain := load(t, `{"replace":"[x]","patterns":[{"name":"a","pattern":"b+c","replace":"[a]"},{"name":"b","pattern":"ab+","replace":"[b]"},{"name":"c","pattern":"c[0-9]+","replace":"[c]"}]}`)
	for content, want := range map[string]string{
		`"abbc12"`: `"[a]"`, `"abb"`: `"[b]"`, `"c12"`: `"[c]"`, `"bc12 ab"`: `"[a] [b]"`, `"ab4111111111111111c1@d.ee"`: `"[x]"`,
	} {
		if got := after(t, chain, content); got != want {
			t.Errorf("%s: got %s, want %s", content, got, want)
		}
	}
}

func TestCardNumbersAreToldFromOtherNumbers(t *testing.T) {
	chain := load(t, `{"emails":false,"replace":"#"}`)
	for text, want := range map[string]string{
		// The test numbers that payment providers publish.
		"4111111111111111": "#", "4012888888881881": "#", "4222222222222": "#", "5555555555554444": "#", "2223003122003222": "#",
		"378282246310005": "#", "371449635398431": "#", "6011111111111117": "#", "3530111333300000": "#", "30569309025904": "#",
		"38520000023237": "#", "36227206271667": "#", "6200000000000005": "#", "6304000000000000": "#", "2200700000000000005": "2200700000000000005",
		"4111 1111 1111 1111": "#", "4111-1111-1111-1111": "#", "3782 822463 10005": "#", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1": "#",
		"(4111111111111111)": "(#)", "card:4111111111111111.": "card:#.", "4111111111111111, 5555555555554444": "#, #",
		"4111 1111 1111 1111 12/29": "# 12/29", "12 4111 1111 1111 1111": "12 #", "4111 1111 1111 1111 737": "# 737",
		"é4111111111111111é": "é#é", "x-4111111111111111": "x-#",

		"4111111111111112":                     "4111111111111112",     // the check digit
		"1111111111111117":                     "1111111111111117",     // no issuer
		"1700000000000":                        "1700000000000",        // a time in milliseconds
		"1700000000000000000":                  "1700000000000000000",  // in nanoseconds
		"2024-01-15 12:30:45":                  "2024-01-15 12:30:45",  // a date
		"41111111111111111111":                 "41111111111111111111", // 20 digits
		"411111111111111":                      "411111111111111",      // Visa has no 15
		"a4111111111111111":                    "a4111111111111111",    // part of a word
		"4111111111111111_1":                   "4111111111111111_1",   // part of a name
		"0.4111111111111111":                   "0.4111111111111111",   // a fraction
		"4111111111111111.5":                   "4111111111111111.5",   // a decimal number
		"4111  1111 1111 1111":                 "4111  1111 1111 1111", // two spaces
		"4111 1111-1111 1111":                  "4111 1111-1111 1111",  // mixed separators
		"4111.1111.1111.1111":                  "4111.1111.1111.1111",  // points
		"550e8400-e29b-41d4-a716-446655440000": "550e8400-e29b-41d4-a716-446655440000",
		"":                                     "",
		"4":                                    "4",
	} {
		if got := after(t, chain, quote(text)); got != quote(want) {
			t.Errorf("%q: got %s, want %q", text, got, want)
		}
	}
}

func TestAddressesAreFoundAsPeopleWriteThem(t *testing.T) {
	chain := load(t, `{"cards":false,"replace":"#"}`)
	for text, want := range map[string]string{
		"ann@example.org": "#", "<ann@example.org>": "<#>", "Ann <ann.lee@mail.example.co.uk>, bob": "Ann <#>, bob", "mailto:ann@example.org?subject=x": "mailto:#?subject=x",
		"?to=ann@example.org&x=1": "?to=#&x=1", "'ann@example.org'": "'#'", "ann+tag%x@example.org": "#", "_a@b.cc": "#", "ann@example.org.": "#.",
		"ann@example.org-": "#-", "ann@example.org.5": "#.5", "ann@xn--mller-kva.de": "#", "jörg@müller.de": "#", "анна@пример.рф": "#", "请联系ann@example.org。": "请联系#。",
		"a@b.cc,c@d.ee": "#,#", "a@b@c.dd": "a@#", "a@b.cc@d.ee": "#@d.ee", "a..b@c.dd": "#", "\u2019ann@example.org": "\u2019#", "a@1.cc": "#", "@@a@b.cc@@": "@@#@@",

		"ann@localhost": "ann@localhost", "ann@": "ann@", "@example.org": "@example.org", "ann @example.org": "ann @example.org", "ann@-x.org": "ann@-x.org",
		"ann@x-.org": "ann@x-.org", "ann@example.o": "ann@example.o", "ann@1.2": "ann@1.2", "a@.cc": "a@.cc", "ann@[192.0.2.1]": "ann@[192.0.2.1]", "...@b.cc": "...@b.cc",
	} {
		if got := after(t, chain, quote(text)); got != quote(want) {
			t.Errorf("%q: got %s, want %q", text, got, want)
		}
	}
}

func TestDenyRefusesWithoutReplacing(t *testing.T) {
	chain := load(t, `{"mode":"deny","code":1234,"reason":"no numbers here"}`)
	if v := message(t, chain, `["ok","4111111111111111"]`); v.Action != router.Deny || v.Code != 1234 || v.Reason != "no numbers here" || v.Payload != nil {
		t.Errorf("got %+v", v)
	}
	if v := message(t, chain, `["ok"]`); v.Action != router.Continue || v.Payload != nil {
		t.Errorf("got %+v", v)
	}
	if v := message(t, load(t, `{"mode":"deny"}`), `"a@b.cc"`); v.Code != 422 || v.Reason != "content has something in it that must not be passed on" {
		t.Errorf("got %+v", v)
	}
}

func TestContentThatCannotBeRewrittenIsRefused(t *testing.T) {
	chain := load(t, `{"patterns":[{"name":"x","pattern":"x"}]}`)
	if v := message(t, chain, `"`+strings.Repeat("a", 70_000)+`"`); v.Code != 413 || v.Reason != "content of more than 65536 bytes cannot be looked through" {
		t.Errorf("got %+v", v)
	}
	if v := message(t, chain, `"`+strings.Repeat("x ", 10_000)+`"`); v.Code != 413 || v.Reason != "content is too long once it is redacted" {
		t.Errorf("got %+v", v)
	}
	content := `"` + strings.Repeat("a", 65_534) + `"`
	if got := after(t, chain, content); got != content {
		t.Error("the longest content is not passed on as it is")
	}
}

// What is no JSON, which a node never hands over, may be answered with no JSON;
// the instance survives it.
func TestContentThatIsNotJSONDoesTheInstanceNoHarm(t *testing.T) {
	chain := load(t, `{"patterns":[{"name":"x","pattern":"\\b\\w+é$"}]}`)
	for _, content := range []string{
		``, `"`, `"\`, `"\u`, `"\u12`, `"\u00zz"`, `"\ud83d\u"`, `"\ud83d\u12`, "\"\xff\xfe\"", "\"\xf0", "\"\xc3", `"a@b.cc`, `"a@b.c\`, `"é`, "\"\x80\x80\x80\"",
		strings.Repeat(`"`, 999), strings.Repeat(`\`, 999), `"` + strings.Repeat("\xf4", 999), `"a@` + strings.Repeat("\xc3", 999),
	} {
		if v := message(t, chain, content); v.Failure != "" && v.Failure != "bad_json" {
			t.Errorf("%.40q: failure %s", content, v.Failure)
		}
	}
}

// The host holds a configuration to the module's schema; this is what the filter
// refuses itself.
func TestConfigurationsAreReadStrictly(t *testing.T) {
	host := hostOf(t, withoutSchema(t))
	many := strings.TrimSuffix(strings.Repeat(`{"name":"x","pattern":"x"},`, 17), ",")
	pattern := func(p string) string {
		return fmt.Sprintf(`{"patterns":[{"name":"ok","pattern":"ok"},{"name":"x","pattern":%q}]}`, p)
	}
	for _, c := range []struct{ name, config, reason string }{
		{"not an object", `[]`, "the configuration has to be a JSON object"},
		{"an unknown key", `{"card":true}`, "unknown key card: known are cards, emails, patterns, replace, mode, code, reason"},
		{"a wrong type", `{"cards":"yes"}`, "cards has to be true or false"},
		{"nothing to look for", `{"cards":false,"emails":false}`, "nothing to look for"},
		{"a mode", `{"mode":"mask"}`, "mode has to be one of redact, deny"},
		{"a code", `{"code":418}`, "code has to be 400, 401, 403, 404, 409, 413, 422, 429, 503, or from 1000 to 3999"},
		{"a replacement too long", `{"replace":"` + strings.Repeat("x", 65) + `"}`, "replace has to have 0 to 64 bytes"},
		{"too many patterns", `{"patterns":[` + many + `]}`, "patterns has to have 0 to 16 items"},
		{"a pattern without a name", `{"patterns":[{"pattern":"x"}]}`, "patterns[0].name is missing"},
		{"a name", `{"patterns":[{"name":"A","pattern":"x"}]}`, "patterns[0].name has to be of small letters"},
		{"a name twice", `{"patterns":[{"name":"a","pattern":"x"},{"name":"a","pattern":"y"}]}`, "patterns[1].name is taken"},
		{"a name that is taken", `{"patterns":[{"name":"cards","pattern":"x"}]}`, "patterns[0].name is taken"},

		{"a pattern that may be empty", pattern(`a*`), "patterns[1].pattern matches the empty text"},
		{"a place alone", pattern(`\b`), "matches the empty text"},
		{"a lazy repetition", pattern(`a+?`), "patterns[1].pattern at byte 2: repetitions that prefer less are not known here"},
		{"a repeated repetition", pattern(`a**`), "at byte 2: a repetition cannot be repeated: put it in a group"},
		{"a look ahead", pattern(`a(?=b)`), "at byte 2: of (?…) only (?:…) is known here"},
		{"a back reference", pattern(`(a)\1`), "at byte 4: this escape is not known here"},
		{"a unicode class", pattern(`\pL`), "at byte 1: this escape is not known here"},
		{"a POSIX class", pattern(`[[:alpha:]]`), "at byte 1: a bracket itself is \\["},
		{"an open group", pattern(`x(a`), "at byte 1: the group is not closed"},
		{"a group that is closed twice", pattern(`(a))`), "at byte 3: there is no group that this closes"},
		{"an open class", pattern(`a[b`), "at byte 1: the class is not closed"},
		{"an empty class", pattern(`a[]`), "at byte 2: the class is empty"},
		{"a range that is reversed", pattern(`[z-a]`), "at byte 4: the range is the wrong way round"},
		{"a star alone", pattern(`*`), "at byte 0: there is nothing to repeat before this"},
		{"a brace", pattern(`a{x`), "at byte 2: a repetition is {n}, {n,} or {n,m}; a brace itself is \\{"},
		{"a count", pattern(`a{251}`), "a repetition is of at most 250"},
		{"a reversed count", pattern(`a{3,2}`), "a repetition has to be from few to many"},
		{"a backslash at the end", pattern(`a\`), "at byte 2: a backslash ends the pattern"},
		{"too many characters", pattern(`(a{100}){3}`), "patterns[1].pattern is too large: it may take 256 characters"},
		{"too many states", pattern(`.{20}a`), "patterns[1].pattern needs too many states"},
		{"too deep", pattern(strings.Repeat("(", 20) + "a" + strings.Repeat(")", 20)), "groups are nested too deep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := build(t, host, c.config)
			if err == nil {
				t.Fatal("it was accepted")
			}
			if !strings.Contains(err.Error(), c.reason) {
				t.Errorf("the error %q does not say %q", err, c.reason)
			}
		})
	}
}

func TestTheFixturesHold(t *testing.T) { plugintest.Test(t, "tests/*.yaml") }
