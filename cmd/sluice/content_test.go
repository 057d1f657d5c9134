package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// checked runs check with a schema for all messages.
func checked(t *testing.T, schema string) (code int, output string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(validating(schema)), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	code = Main(context.Background(), []string{"check", "--cache", compiled(), "--config", path}, nil, nil, &out, &errOut)
	return code, strings.ReplaceAll(errOut.String(), path, "config.yaml")
}

func validating(schema string) string {
	return "filters:\n  - {name: validate, plugin: \"builtin:validate\", limits: {time: 1s}, config: {schema: " + schema + "}}\n"
}

// properties is a schema with so many properties, whose names begin alike.
func properties(count int, of string) string {
	var text strings.Builder
	text.WriteString(`{"type":"object","additionalProperties":false,"properties":{`)
	for i := range count {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `"property_%d":%s`, i, of)
	}
	text.WriteString("}}")
	return text.String()
}

func TestASchemaThatCannotBeUsedIsNamedWithFilterPathKeywordAndRemedy(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		schema string
		want   []string
	}{
		"an unknown type":          {`{"properties":{"a":{"type":"text"}}}`, []string{"/properties/a", "type"}},
		"a negative length":        {`{"minLength":-1}`, []string{"minLength"}},
		"a bad pattern":            {`{"properties":{"a":{"pattern":"(a"}}}`, []string{"/properties/a", "pattern"}},
		"a back-reference":         {`{"pattern":"^(a+)+\\1$"}`, []string{"pattern", "linear"}},
		"a look-ahead":             {`{"pattern":"^(?=a)"}`, []string{"pattern", "linear"}},
		"a pattern that explodes":  {`{"pattern":"(((a{1000}){1000}){1000})"}`, []string{"pattern", "4000 states"}},
		"recursive without end":    {`{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"}`, []string{"/schema/$defs/a: ", "refers to itself"}},
		"a reference to nowhere":   {`{"$ref":"#/$defs/none"}`, []string{"$ref"}},
		"a remote reference":       {`{"$ref":"https://schemas.example/a.json"}`, []string{"$ref", "remote references are refused"}},
		"a dynamic reference":      {`{"$dynamicRef":"#a"}`, []string{"$dynamicRef", "not supported"}},
		"another dialect":          {`{"$schema":"http://json-schema.org/draft-04/schema#"}`, []string{"$schema"}},
		"a hundred million states": {`{"pattern":"(a|b|c|d|e){1000}{1000}"}`, []string{"pattern"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, output := checked(t, row.schema)
			want := append([]string{`config.yaml:2: filters[0]: filter "validate" (builtin:validate): it refuses its configuration: `, "; correct the filter's config"}, row.want...)
			for _, part := range want {
				if !strings.Contains(output, part) {
					t.Errorf("%q is missing", part)
				}
			}
			if code != 1 || strings.Count(output, "\n") != 1 || len(output) > 2048 {
				t.Errorf("exit %d: %.2048s", code, output)
			}
		})
	}
}

func TestASchemaOfAMegabyteIsCompiledOrRefusedWithItsRemedy(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ schema, want string }{
		"one description":              {`{"description":"` + strings.Repeat("x", 1<<20-1000) + `"}`, ""},
		"an enum of different strings": {differentEnum(20_000), ""},
		"deeply nested":                {strings.Repeat(`{"items":`, 100_000) + "{}" + strings.Repeat("}", 100_000), "not valid YAML: exceeded max depth"},
		"one long pattern":             {`{"pattern":"` + strings.Repeat("a", 64<<10) + `"}`, `filters[0]: filter "validate" (builtin:validate): it refuses its configuration: /schema/pattern: `},
		"more than a file may have":    {`{"description":"` + strings.Repeat("x", 1<<20) + `"}`, "is larger than 1MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, output := checked(t, row.schema)
			if row.want == "" {
				if code != 0 || output != "" {
					t.Errorf("exit %d: %.2048s", code, output)
				}
				return
			}
			if code != 1 || !strings.HasPrefix(output, "config.yaml") || strings.Count(output, "\n") != 1 || len(output) > 2048 || !strings.Contains(output, row.want) {
				t.Errorf("exit %d: %.2048s", code, output)
			}
		})
	}
}

// chatting are two clients in a room of a node with a schema.
func chatting(t *testing.T, schema string) (n *running, sender, neighbour *client) {
	t.Helper()
	n = start(t, validating(schema))
	return n, n.chatter("ann"), n.chatter("bob")
}

// chatter is a client in the room, who reads messages of any size.
func (n *running) chatter(user string) *client {
	n.t.Helper()
	c := n.dial("/ws?client_id=" + user)
	c.conn.SetReadLimit(-1)
	return c.join("a")
}

// says sends content to the room, and returns the answer: an ack or an error.
func (c *client) says(content string) event {
	c.t.Helper()
	c.send(`{"type":"room_message","room":"a","id":"say","content":` + content + `}`)
	for {
		e, err := c.read()
		if err != nil {
			c.t.Fatalf("%.80s ends the connection: %v", content, err)
		}
		if e.Event == "error" || e.Event == "ack" {
			return e
		}
	}
}

func TestALargeRecursiveOrCostlySchemaServes(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ schema, good, bad, reason string }{
		"10,000 properties": {properties(10_000, `{"type":"integer"}`), `{"property_0":1,"property_9999":2}`, `{"property_9999":"x"}`, "/property_9999: type"},
		"recursive": {`{"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{"next":{"$ref":"#/$defs/tree"}},"additionalProperties":false}}}`,
			strings.Repeat(`{"next":`, 40) + "{}" + strings.Repeat("}", 40), `{"next":{"next":{"nxt":1}}}`, "/next/next/nxt: additionalProperties"},
		"a catastrophic pattern": {`{"type":"string","pattern":"^(a+)+$"}`, `"` + strings.Repeat("a", 60_000) + `"`, `"` + strings.Repeat("a", 60_000) + `!"`, "pattern"},
		"another":                {`{"type":"string","pattern":"^(a|a|aa)*(b|bb)*$"}`, `"` + strings.Repeat("ab", 1) + `"`, `"` + strings.Repeat("a", 60_000) + `c"`, "pattern"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, ann, bob := chatting(t, row.schema)
			if e := ann.says(row.good); e.Event != "ack" {
				t.Errorf("got %+v", e)
			}
			if e := bob.await("chat"); string(e.Content) != row.good {
				t.Errorf("got %.80s", e.Content)
			}
			if e := ann.says(row.bad); e.Event != "error" || e.Code != "invalid" || e.Filter != "validate" || !strings.Contains(e.Reason, row.reason) || len(e.Reason) > 512 {
				t.Errorf("got %.600s %s", e.Reason, e.Code)
			}
			bob.alive("chat", "user_joined")
		})
	}
}

func TestHostileContentIsAnsweredAndANeighbourIsServedMeanwhile(t *testing.T) {
	t.Parallel()
	const schema = `{"properties":{"n":{"type":"integer","maximum":9007199254740992},"m":{"multipleOf":0.01},"s":{"type":"string","maxLength":3},"u":{"uniqueItems":true}}}`
	n, ann, bob := chatting(t, schema)
	const bad, invalid, good = "bad_request", "invalid", ""
	malformed := 0
	for _, row := range []struct{ name, content, code, reason string }{
		{"as deep as a frame may be", strings.Repeat("[", 63) + strings.Repeat("]", 63), good, ""},
		{"deeper", strings.Repeat("[", 64) + strings.Repeat("]", 64), bad, "64"},
		{"60 KiB of [", strings.Repeat("[", 60<<10), bad, ""},
		{"60 KiB of {", strings.Repeat(`{"a":`, 12<<10), bad, ""},
		{"30 KiB of [ that are closed", strings.Repeat("[", 30<<10) + strings.Repeat("]", 30<<10), bad, "64"},
		{"a number beyond a double", `{"n":9007199254740993}`, invalid, "/n: maximum"},
		{"an integer that is huge", `{"n":1e400}`, invalid, "/n: maximum"},
		{"a number that is huge, and free", `{"free":1e400}`, good, ""},
		{"a number of 60,000 digits", `{"n":` + strings.Repeat("9", 60_000) + `}`, invalid, "/n: maximum"},
		{"60,000 zeros behind the point", `{"n":1.` + strings.Repeat("0", 60_000) + `}`, good, ""},
		{"an exponent without end", `{"free":1e` + strings.Repeat("9", 1000) + `}`, invalid, "exponent"},
		{"a multiple of a huge number", `{"m":1e99999999}`, good, ""},
		{"a tiny number", `{"m":1e-99999999}`, invalid, "/m: multipleOf"},
		{"lone surrogates", `{"s":"\ud800\ud800\udc00\udfff"}`, good, ""},
		{"one too many", `{"s":"\ud800\ud800\ud800\udfff\udfff"}`, invalid, "/s: maxLength"},
		{"duplicate keys", `{"s":"a","s":"b"}`, invalid, "/s: this key is there twice"},
		{"duplicate keys, one escaped", `{"s":"a","\u0073":"b"}`, invalid, "/s: this key is there twice"},
		{"duplicate keys far below", `{"x":[{"y":{"z":1,"z":1}}]}`, invalid, "/x/0/y/z: this key is there twice"},
		{"4,000 keys", manyKeys(4000), good, ""},
		{"10,000 items that are to differ", `{"u":[` + strings.TrimSuffix(strings.Repeat("[1],", 10_000), ",") + `]}`, invalid, "/u/1: uniqueItems"},
		{"8,000 items that differ", `{"u":[[` + numbers(8000, "],[") + `]]}`, good, ""},
		{"not JSON", `{s:1}`, bad, ""},
		{"a control character", "{\"s\":\"\x01\"}", bad, ""},
		{"two values", `{} {}`, bad, ""},
		{"null", `null`, good, ""},
	} {
		e := ann.says(row.content)
		if row.code == good && e.Event != "ack" || row.code != good && (e.Event != "error" || e.Code != row.code || e.Reason == "" || len(e.Reason) > 512 || !strings.Contains(e.Reason, row.reason)) {
			t.Errorf("%s: got %s %s %.600s", row.name, e.Event, e.Code, e.Reason)
		}
		if row.code == invalid && e.Filter != "validate" {
			t.Errorf("%s: refused by %q", row.name, e.Filter)
		}
		if row.code == bad {
			malformed++
			if malformed%8 == 0 { // ten end a connection
				ann.conn.CloseNow()
				ann = n.chatter("ann")
			}
		}
		bob.alive("chat", "user_joined", "user_left", "user_connected", "user_disconnected")
	}
	if failures := n.counter(`sluice_filter_failures_total\{cause="[a-z_0-9]+",filter="validate",role="active",version="[0-9a-f]{12}"\}`); failures != 0 {
		t.Errorf("validate failed %d times", failures)
	}

	// Over the frame's limit the connection ends, the neighbour's does not.
	ann.send(`{"type":"room_message","room":"a","content":` + strings.Repeat("[", 64<<10) + `}`)
	if end := ann.closed(); end.Code != websocket.StatusMessageTooBig {
		t.Errorf("closed with %v", end)
	}
	bob.alive("chat", "user_joined", "user_left", "user_connected", "user_disconnected")
	if e := bob.says(`{"s":"abc"}`); e.Event != "ack" {
		t.Errorf("got %+v", e)
	}
}

func numbers(count int, between string) string {
	texts := make([]string, count)
	for i := range texts {
		texts[i] = fmt.Sprint(i)
	}
	return strings.Join(texts, between)
}

func manyKeys(count int) string {
	keys := make(map[string]int)
	for i := range count {
		keys[fmt.Sprint("key", i)] = i
	}
	return string(must(json.Marshal(keys)))
}

func differentEnum(count int) string {
	texts := make([]string, count)
	for i := range texts {
		texts[i] = fmt.Sprint("text", i)
	}
	return `{"enum":` + string(must(json.Marshal(texts))) + `}`
}
