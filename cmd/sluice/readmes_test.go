package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// configExample is an example of a configuration: a fenced block, or an indented one.
var configExample = regexp.MustCompile("(?m)(?s:^```yaml\n(.*?)```)|((?:^    filters:\n)(?:^    .*\n)+)")

func TestTheConfigurationsInTheReadmesOfTheBundledFiltersLoad(t *testing.T) {
	readmes, err := filepath.Glob("../../plugins/filters/*/README.md")
	if err != nil || len(readmes) < 8 {
		t.Fatalf("there are the READMEs %v (%v)", readmes, err)
	}
	keys := newKeyServer(t, goodSet())
	for _, readme := range append(readmes, "../../README.md") {
		examples := 0
		for _, m := range configExample.FindAllStringSubmatch(string(must(os.ReadFile(readme))), -1) {
			text := m[1] + regexp.MustCompile("(?m)^    ").ReplaceAllString(m[2], "")
			if !strings.Contains(text, "plugin: builtin:") {
				continue
			}
			examples++
			text = strings.ReplaceAll(text, "https://id.example.org/.well-known/jwks.json", keys.URL)
			var env []string
			if strings.Contains(text, "${SLUICE_AUTH_KEY}") {
				env = []string{"SLUICE_AUTH_KEY=Xp2s5v8yBxEzHzMbQeThWmZq4t7wAzCz"}
			}
			file := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var out, errOut bytes.Buffer
			if code := Main(t.Context(), []string{"check", "--cache", compiled(), "--config", file}, env, nil, &out, &errOut); code != 0 {
				t.Errorf("%s: %s\n%s", readme, &errOut, text)
			}
		}
		if examples == 0 {
			t.Errorf("%s has no example of a configuration", readme)
		}
	}
}
