package conformance

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// blocks are the fenced blocks of a language.
func blocks(document, language string) []string {
	var out []string
	for _, part := range strings.Split(document, "\n```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(part, "\n```")
		out = append(out, block+"\n")
	}
	return out
}

func TestTheExamplesInTheABIAreTheFilesThatAreTested(t *testing.T) {
	abi := read(t, "../ABI.md")
	for language, file := range map[string]string{"wat": "../examples/wat/limit.wat", "c": "../examples/c/limit.c"} {
		found := blocks(abi, language)
		if len(found) != 1 || found[0] != read(t, file) {
			t.Errorf("ABI.md has %d blocks of %s, and its block is not %s", len(found), language, file)
		}
	}
}

func TestTheOffsetsInTheABIAreThoseOfTheHeader(t *testing.T) {
	inABI := make(map[string]string)
	_, table, _ := strings.Cut(read(t, "../ABI.md"), "## The event")
	table, _, _ = strings.Cut(table, "### Meta")
	for _, m := range regexp.MustCompile("(?m)^\\| (\\d+) \\| `(\\w+)` \\|").FindAllStringSubmatch(table, -1) {
		inABI[m[2]] = m[1]
	}
	inHeader := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^SLUICE_ASSERT_AT\((\w+), (\d+)\);`).FindAllStringSubmatch(read(t, "../c/sluice.h"), -1) {
		inHeader[m[1]] = m[2]
	}
	if len(inABI) != 29 {
		t.Errorf("ABI.md has %d fields, want 29", len(inABI))
	}
	for field, offset := range inABI {
		if inHeader[field] != offset {
			t.Errorf("%s is at %s in ABI.md and at %q in sluice.h", field, offset, inHeader[field])
		}
	}
	if len(inHeader) != len(inABI) {
		t.Errorf("sluice.h has %d fields, ABI.md %d", len(inHeader), len(inABI))
	}
}

func TestTheNumbersInTheHeaderAreThoseOfTheABI(t *testing.T) {
	abi := read(t, "../ABI.md")
	constants := regexp.MustCompile(`(?m)^ +SLUICE_(\w+) = (\d{3})[,\n]`).FindAllStringSubmatch(read(t, "../c/sluice.h"), -1)
	codes := 0
	for _, m := range constants {
		if strings.HasPrefix(m[1], "MAX_") {
			continue
		}
		codes++
		row := regexp.MustCompile(`(?m)^\| ` + m[2] + `[^|]*\| ` + "`" + strings.ToLower(m[1]) + "`")
		if !row.MatchString(abi) {
			t.Errorf("SLUICE_%s = %s is not among the codes of ABI.md", m[1], m[2])
		}
	}
	if codes != 9 {
		t.Errorf("sluice.h has %d codes, want 9", codes)
	}
}

func TestTheFiltersInTheDocumentsCompile(t *testing.T) {
	for file, folder := range map[string]string{"../../README.md": "../c", "../c/README.md": "../c"} {
		document := read(t, file)
		sources := blocks(document, "c")
		if len(sources) == 0 {
			t.Errorf("%s shows no filter in C", file)
		}
		for _, source := range sources {
			if !strings.Contains(source, "SLUICE_IMPLEMENTATION") {
				continue
			}
			dir := t.TempDir()
			if err := os.WriteFile(dir+"/doc.c", []byte(source), 0o600); err != nil {
				t.Fatal(err)
			}
			header, err := os.Getwd()
			if err != nil {
				t.Fatal(err)
			}
			run(t, dir, tool(t, "clang-19"), "--target=wasm32", "-O2", "-nostdlib", "-ffreestanding", "-Wall", "-Werror",
				"-I"+header+"/"+folder, "-Wl,--no-entry", "-Wl,--strip-all", "-o", dir+"/doc.wasm", "doc.c")
			if _, err := build(t, pluginAt(dir+"/doc.wasm")); err != nil {
				t.Errorf("%s: %v\n%s", file, err, source)
			}
		}
	}
}
