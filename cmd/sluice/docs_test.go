package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var codeSpan = regexp.MustCompile("^`([^`]*)`$")

// documentedKeys reads the rows of the tables whose first column is a key.
func documentedKeys(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string][]string)
	inTable := false
	for line := range strings.SplitSeq(string(text), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 8 {
			inTable = false
			continue
		}
		cells = cells[1:7]
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if cells[0] == "Key" {
			inTable = true
			continue
		}
		if m := codeSpan.FindStringSubmatch(cells[0]); inTable && m != nil {
			if rows[m[1]] != nil {
				t.Errorf("%s is documented twice", m[1])
			}
			rows[m[1]] = cells
		}
	}
	return rows
}

func TestEveryKeyIsDocumentedWithItsTypeUnitAndDefault(t *testing.T) {
	rows := documentedKeys(t)
	schema.walk(func(k *key) {
		row := rows[k.Path]
		if row == nil {
			t.Errorf("%s is not documented", k.Path)
			return
		}
		delete(rows, k.Path)
		unit := k.Unit
		if k.Kind == kindEnum {
			unit = strings.Join(k.Enum, ", ")
		}
		def := "`" + k.Default + "`"
		switch {
		case k.Required:
			def = "required"
		case k.Default == "":
			def = "none"
		}
		reload := "no"
		if k.Reload {
			reload = "yes"
		}
		for i, want := range []string{string(k.Kind), unit, def, reload} {
			if got := row[i+1]; got != want {
				t.Errorf("%s: column %d is %q, the configuration says %q", k.Path, i+2, got, want)
			}
		}
		if row[5] == "" || k.Doc == "" {
			t.Errorf("%s has no meaning", k.Path)
		}
	})
	for path := range rows {
		t.Errorf("%s is documented, but no key", path)
	}
}

func TestTheFileAtTheRootIsValidAndSaysWhatTheDefaultsAre(t *testing.T) {
	l, err := load(sources{File: "../../config.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	var d loaded
	if err := d.merge([]map[string]any{schema.defaults()}); err != nil {
		t.Fatal(err)
	}
	if l.Listen != d.Listen || l.Admin != d.Admin || l.Broker != d.Broker || l.limits() != d.limits() {
		t.Errorf("config.yaml differs from the defaults:\n%+v\n%+v", l.Config, d.Config)
	}
}
