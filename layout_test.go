// Package sluice_test holds the module to its own layout: which package may
// import which, and that the documents lead somewhere.
package sluice_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "sluice"

// allowed is the import table of RATIONALE.md: what a package, or every package below a
// folder (/...), may import from this module. Its tests may import testOnly in addition.
var allowed = []struct {
	packages string
	imports  []string
	testOnly []string
}{
	{"router/wire", nil, nil},
	{"router/socket", nil, nil},
	{"router/listener", nil, nil},
	{"router/membroker", []string{"router", "router/wire"}, []string{"router/brokertest"}},
	{"router/redisbroker", []string{"router", "router/wire"}, []string{"router/brokertest", "router/redisbroker/redistest"}},
	{"router/redisbroker/redistest", nil, nil},
	{"router/brokertest", []string{"router", "router/wire"}, nil},
	{"router", []string{"router/wire", "router/socket"}, []string{"router/membroker"}},
	{"plugins/meter/...", nil, nil},
	{"plugins/keys", []string{"plugins/outbound"}, nil},
	{"plugins/outbound", nil, nil},
	{"plugins/store", nil, nil},
	{"plugins/lookup", []string{"plugins/outbound"}, nil},
	{"plugins/source", []string{"plugins/outbound"}, nil},
	{"plugins/capture", []string{"plugins", "plugins/lookup", "router"}, []string{"plugins/filters", "plugins/keys"}},
	{"plugins/plugintest", []string{"plugins", "plugins/lookup", "plugins/keys", "plugins/store", "router", "router/wire"}, []string{"plugins/filters"}},
	{"plugins/filters/...", []string{"sdk/go"}, []string{"plugins", "plugins/keys", "plugins/lookup", "plugins/plugintest", "router", "router/wire", "plugins/filters"}},
	{"plugins", []string{"router", "router/wire", "plugins/meter", "plugins/keys", "plugins/store", "plugins/lookup", "plugins/source"}, []string{"plugins/filters"}},
	{"sdk/...", []string{"sdk/go"}, []string{"plugins", "plugins/plugintest", "plugins/lookup", "router", "router/wire"}},
	{"admin", []string{"router", "router/wire", "plugins"}, []string{"router/membroker", "plugins/filters", "plugins/keys"}},
	{"cmd/sluice/...", []string{"*"}, []string{"*"}},
	{"test/program", nil, nil},
	{"test/...", []string{"*"}, []string{"*"}},
	{".", nil, nil},
}

type goPackage struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func TestImportsPointAtRouter(t *testing.T) {
	packages := listPackages(t)
	if len(packages) < 5 {
		t.Fatalf("go list shows only %d packages", len(packages))
	}
	for _, p := range packages {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		if name == "" {
			name = "."
		}
		i := slices.IndexFunc(allowed, func(r struct {
			packages          string
			imports, testOnly []string
		}) bool {
			return covers(r.packages, name)
		})
		if i < 0 {
			t.Errorf("%s is not in the import table: add it there and to RATIONALE.md", p.ImportPath)
			continue
		}
		rule := allowed[i]
		check(t, name, p.Imports, rule.imports)
		tests := slices.Concat(rule.imports, rule.testOnly, []string{name})
		check(t, name+" (tests)", p.TestImports, tests)
		check(t, name+" (tests)", p.XTestImports, tests)
	}
}

func covers(pattern, name string) bool {
	if folder, ok := strings.CutSuffix(pattern, "/..."); ok {
		return name == folder || strings.HasPrefix(name, folder+"/")
	}
	return pattern == name
}

func check(t *testing.T, name string, imports, allowed []string) {
	t.Helper()
	for _, imported := range imports {
		own, ok := strings.CutPrefix(imported, module+"/")
		if ok && !slices.Contains(allowed, own) && !slices.Contains(allowed, "*") {
			t.Errorf("%s imports %s, which the layout does not allow", name, imported)
		}
	}
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

var link = regexp.MustCompile(`\]\(([^)#: ]+)(?:#[^)]*)?\)`)

func TestLinksInDocumentsLeadSomewhere(t *testing.T) {
	links := 0
	err := filepath.WalkDir(".", func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if links == 0 {
		t.Error("no links found: is the pattern right?")
	}
}
