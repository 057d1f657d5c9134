//go:build !wasm

package sluice

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAConfigurationIsReadMemberByMember(t *testing.T) {
	j := ReadJSON([]byte(` { "name" : "a\nb\u00e9\ud83d\ude00\/" , "max":-12, "on": true, "off":false, "none":null, "list":[1, 2 ,3], "rest":{"a":[{}]} } `))
	if !j.Object() {
		t.Fatal("it is an object")
	}
	var got []string
	sum := int64(0)
	for key, ok := j.Key(); ok; key, ok = j.Key() {
		got = append(got, key)
		switch key {
		case "name":
			if s, ok := j.Text(); !ok || s != "a\nbé😀/" {
				t.Errorf("name is %q, %v", s, ok)
			}
		case "max":
			if n, ok := j.Int(); !ok || n != -12 {
				t.Errorf("max is %d, %v", n, ok)
			}
		case "on", "off":
			if v, ok := j.Bool(); !ok || v != (key == "on") {
				t.Errorf("%s is %v, %v", key, v, ok)
			}
		case "none":
			if !j.Null() {
				t.Error("none is null")
			}
		case "list":
			for j.Array(); j.Next(); {
				n, _ := j.Int()
				sum += n
			}
		case "rest":
			if raw, ok := j.Raw(); !ok || string(raw) != `{"a":[{}]}` {
				t.Errorf("rest is %s, %v", raw, ok)
			}
		}
	}
	if !j.Done() || sum != 6 || strings.Join(got, " ") != "name max on off none list rest" {
		t.Errorf("done %v, sum %d, keys %v", j.Done(), sum, got)
	}
}

func TestMistakesStopTheReader(t *testing.T) {
	for _, text := range []string{
		`{`, `{"a"}`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`, `{"a":1}}`, `[]`, ``, `{a:1}`, `{"a":[1,]}`, `{"a":[,1]}`, `{"a":[1 2]}`, `{"a":[1}`,
		`{"a":01}`, `{"a":1.}`, `{"a":.1}`, `{"a":1e}`, `{"a":+1}`, `{"a":-}`, `{"a":tru}`, `{"a":nul}`, `{"a":"\x"}`, `{"a":"\u12g4"}`, `{"a":"` + "\n" + `"}`,
		`{"a":"\`, `{"a":"b`, `{"a":` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + `}`,
	} {
		j := ReadJSON([]byte(text))
		j.Object()
		for _, ok := j.Key(); ok; _, ok = j.Key() {
			j.Raw()
		}
		if j.Done() {
			t.Errorf("%.40s is read", text)
		}
		if _, ok := j.Int(); ok {
			t.Errorf("%.40s: it reads on after a mistake", text)
		}
	}
}

func TestTextAndNumbersAreReadStrictly(t *testing.T) {
	for _, text := range []string{`"\ud800"`, `"\ud800x"`, `"\ud800\n"`, `"\ud800\u0041"`, `"\udc00"`, `7`, `"a`, `null`} {
		j := ReadJSON([]byte(text))
		if s, ok := j.Text(); ok {
			t.Errorf("%s is read as %q", text, s)
		}
	}
	for text, want := range map[string]int64{
		"0": 0, "-0": 0, "9223372036854775807": 1<<63 - 1, "-9223372036854775808": -1 << 63, "-1": -1, "1000000000000000000": 1e18,
	} {
		j := ReadJSON([]byte(text))
		if n, ok := j.Int(); !ok || n != want || !j.Done() {
			t.Errorf("%s is %d, %v", text, n, ok)
		}
	}
	for _, text := range []string{"9223372036854775808", "-9223372036854775809", "18446744073709551617", "1.0", "1e3", `"1"`, "-", "00", "true"} {
		j := ReadJSON([]byte(text))
		if n, ok := j.Int(); ok && j.Done() {
			t.Errorf("%s is read as %d", text, n)
		}
	}
}

func TestAFieldIsFoundWithoutAllocating(t *testing.T) {
	object := []byte(`{"a":{"role":1},"list":["role",2],"role":"x","last":[],"role" : "editor" }`)
	if v, ok := Field(object, "role"); !ok || string(v) != `"editor"` {
		t.Errorf("got %s, %v", v, ok)
	}
	for _, text := range []string{`{}`, `{"a":1}`, `[]`, `{"role":1`, `{"role":1}x`, ``} {
		if v, ok := Field([]byte(text), "role"); ok {
			t.Errorf("%s has %s", text, v)
		}
	}
	if n := testing.AllocsPerRun(100, func() { Field(object, "last") }); n != 0 {
		t.Errorf("it allocates %v times", n)
	}
}

func FuzzJSONIsReadAsByEncodingJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,2.5e-3,{"b":"\u00e9\ud83d\ude00\n"}],"c":null}`, `"x"`, ` [true , false,{} ,[] , "" ] `, `-0`, `1E+5`, `[1,]`, `{"a":1,}`, `nul`, `"\ud800"`, `01`, `[[`, `"` + "\xff" + `"`, `{"":{"":0}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		j := ReadJSON(text)
		raw, ok := j.Raw()
		got := ok && j.Done()
		if want := json.Valid(text); got != want {
			if want && bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > maxDepth {
				return // nested deeper than content may be
			}
			t.Fatalf("%q: valid is %v, want %v", text, got, want)
		}
		if got && !bytes.Equal(raw, bytes.Trim(text, " \t\r\n")) {
			t.Fatalf("%q: the value is %q", text, raw)
		}
		j = ReadJSON(text)
		if s, ok := j.Text(); ok && j.Done() {
			var want string
			if err := json.Unmarshal(text, &want); err != nil || utf8.Valid(text) && s != want {
				t.Fatalf("%q is %q, want %q, %v", text, s, want, err)
			}
		}
	})
}
