package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/plugins"
)

// wordsSchema is a filter's configuration with lists and objects in it.
const wordsSchema = `{
  "type": "object", "additionalProperties": false, "required": ["words"],
  "properties": {
    "words": {"type": "array", "items": {"type": "string", "minLength": 2}},
    "action": {"enum": ["deny", "mask"]},
    "rooms": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}
  }
}`

// withSchema writes a filter that accepts anything but what the schema refuses.
func withSchema(t *testing.T, dir, schema string) {
	t.Helper()
	wasm, err := os.ReadFile("../../plugins/testdata/noop.wasm")
	if err != nil {
		t.Fatal(err)
	}
	wasm, err = plugins.ReplaceSections(wasm, plugins.CustomSection{Name: plugins.SectionSchema, Content: []byte(schema)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "words.wasm"), wasm, 0o644); err != nil {
		t.Fatal(err)
	}
}

// check runs `sluice check` on a file with the text, in which FILTER stands for
// the filter's entry up to its config.
func check(t *testing.T, dir, text string, env ...string) (code int, stderr string) {
	t.Helper()
	file := filepath.Join(dir, "config.yaml")
	text = strings.ReplaceAll(text, "FILTER", "filters:\n  - name: words\n    plugin: words.wasm\n")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	code = Main(context.Background(), []string{"check", "--config", file, "--cache", "off"}, env, nil, &out, &errOut)
	return code, strings.ReplaceAll(errOut.String(), dir+"/", "")
}

func TestAConfigurationThatItsSchemaRefusesNamesFileLineAndKey(t *testing.T) {
	dir := t.TempDir()
	withSchema(t, dir, wordsSchema)
	for name, row := range map[string]struct{ config, want string }{
		"an item of a list": {"    config:\n      words:\n        - spam\n        - eggs\n        - 7\n",
			`config.yaml:8: filters[0].config.words[2]: filter "words" (words.wasm): its schema refuses config.words[2]: it has to be a string, and is a number`},
		"an item of a list on one line": {"    config:\n      words: [spam, eggs, s]\n",
			"config.yaml:5: filters[0].config.words[2]: "},
		"a misspelt key": {"    config:\n      words: []\n      acton: deny\n",
			`config.yaml:6: filters[0].config.acton: filter "words" (words.wasm): its schema refuses config.acton: it is an unknown key`},
		"a key that is missing": {"    config: { action: deny }\n",
			`config.yaml:4: filters[0].config: filter "words" (words.wasm): its schema refuses config: it lacks the key words`},
		"a word that is none of those": {"    config:\n      words: []\n      action: drop\n",
			`config.yaml:6: filters[0].config.action: filter "words" (words.wasm): its schema refuses config.action: it has to be one of "deny", "mask"`},
		"a value of an object": {"    config:\n      words: []\n      rooms:\n        a: 1\n        b.c: 0\n",
			"config.yaml:8: filters[0].config.rooms.b.c: "},
		"no configuration at all": {"", "config.yaml:2: filters[0].config: "},
	} {
		t.Run(name, func(t *testing.T) {
			code, stderr := check(t, dir, "FILTER"+row.config)
			if code != 1 || !strings.HasPrefix(stderr, row.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit %d: %s", code, stderr)
			}
		})
	}
	if code, stderr := check(t, dir, "FILTER    config: { words: [spam], rooms: { a: 3 } }\n"); code != 0 {
		t.Errorf("a configuration that fits: %s", stderr)
	}
}

func TestEachPlaceThatASchemaRefusesIsNamed(t *testing.T) {
	dir := t.TempDir()
	withSchema(t, dir, wordsSchema)
	code, stderr := check(t, dir, "FILTER    config:\n      words: [1, spam, 2]\n      action: x\n      more: y\n")
	var places []string
	for line := range strings.Lines(stderr) {
		place, _, _ := strings.Cut(line, ": filter ")
		places = append(places, place)
	}
	want := "config.yaml:6: filters[0].config.action, config.yaml:7: filters[0].config.more, config.yaml:5: filters[0].config.words[0], config.yaml:5: filters[0].config.words[2]"
	if got := strings.Join(places, ", "); code != 1 || got != want {
		t.Errorf("exit %d: got %s\nwant %s", code, got, want)
	}
}

func TestValuesThatAreSecretsAreNotQuotedByASchemasError(t *testing.T) {
	dir := t.TempDir()
	withSchema(t, dir, `{"properties":{
		"a":{"type":"integer"},"b":{"enum":["x"]},"c":{"pattern":"^x$"},"d":{"const":"x"},"e":{"maxLength":1},
		"f":{"uniqueItems":true},"g":{"anyOf":[{"const":1},{"pattern":"y"}]},"h":{"not":{"type":"string"}},"i":{"format":"ipv4","minLength":99}
	}}`)
	code, stderr := check(t, dir, `FILTER    config: {a: "${KEY}", b: "${KEY}", c: "${KEY}", d: "${KEY}", e: "${KEY}", f: ["${KEY}", "${KEY}"], g: "${KEY}", h: "${KEY}", i: "${KEY}"}
`, "KEY=hunter2hunter2")
	if code != 1 || strings.Count(stderr, "\n") != 9 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if strings.Contains(stderr, "hunter2") {
		t.Errorf("the secret is shown:\n%s", stderr)
	}
}
