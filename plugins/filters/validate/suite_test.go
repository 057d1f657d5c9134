package validate_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sluice/router"
)

// suiteVariable names a folder with the JSON Schema Test Suite: what holds
// tests/draft2020-12 and tests/draft7.
const suiteVariable = "JSON_SCHEMA_TEST_SUITE"

// suiteFolder finds the suite: where the variable says, or as
// shared/data/json-schema-test-suite in or above the module. "": it is not here.
func suiteFolder(t *testing.T) string {
	t.Helper()
	if folder := os.Getenv(suiteVariable); folder != "" {
		return folder
	}
	at, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for {
		folder := filepath.Join(at, "shared", "data", "json-schema-test-suite")
		if _, err := os.Stat(folder); err == nil {
			return folder
		}
		up := filepath.Dir(at)
		if up == at {
			return ""
		}
		at = up
	}
}

// refusable are the parts of the reasons by which a schema of the suite may be
// refused. README.md lists them.
var refusable = []string{
	"remote references are refused",
	"the keyword $dynamicRef is not supported",
	"the keyword $dynamicAnchor is not supported",
	"is no dialect known here",
}

func TestTheReadmeListsWhatTheSuiteMayBeRefusedFor(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range refusable {
		if !strings.Contains(string(readme), r) {
			t.Errorf("README.md does not say %q", r)
		}
	}
}

type suiteGroup struct {
	Description string
	Schema      json.RawMessage
	Tests       []struct {
		Description string
		Data        json.RawMessage
		Valid       bool
	}
}

// skipped are files of the optional part about what the filter takes for an
// annotation: format, and in draft-07 contentEncoding and contentMediaType.
func skipped(file string) bool {
	return strings.HasPrefix(file, "optional/format") || file == "optional/content.json"
}

func TestTheCommittedCasesPass(t *testing.T) { runSuite(t, filepath.Join("testdata", "suite"), 75, 0) }

func TestTheJSONSchemaTestSuitePasses(t *testing.T) {
	folder := suiteFolder(t)
	if folder == "" {
		t.Skipf("THE JSON SCHEMA TEST SUITE IS NOT HERE, only the committed cases are run. Set %s to its folder.", suiteVariable)
	}
	runSuite(t, folder, 1000, 100)
}

// runSuite runs the cases below folder, at least least of each draft, of which
// at most mayRefuse are refused.
func runSuite(t *testing.T, folder string, least, mayRefuse int) {
	for _, draft := range []struct{ name, uri string }{
		{"draft2020-12", "https://json-schema.org/draft/2020-12/schema"},
		{"draft7", "http://json-schema.org/draft-07/schema#"},
	} {
		t.Run(draft.name, func(t *testing.T) {
			var passed, refused, failed int
			reasons := make(map[string]int)
			base := filepath.Join(folder, "tests", draft.name)
			err := filepath.WalkDir(base, func(path string, d os.DirEntry, err error) error {
				if err != nil || d.IsDir() || !strings.HasSuffix(path, ".json") {
					return err
				}
				if name, _ := filepath.Rel(base, path); skipped(filepath.ToSlash(name)) {
					return nil
				}
				p, r, f := runSuiteFile(t, path, draft.uri, reasons)
				passed, refused, failed = passed+p, refused+r, failed+f
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %d passed, %d refused, %d failed; refused: %v", draft.name, passed, refused, failed, reasons)
			if failed > 0 || passed < least || refused > mayRefuse {
				t.Errorf("%d of %d failed, %d were refused; at least %d should pass and at most %d be refused", failed, passed+refused+failed, refused, least, mayRefuse)
			}
		})
	}
}

func runSuiteFile(t *testing.T, path, uri string, reasons map[string]int) (passed, refused, failed int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var groups []suiteGroup
	if err := json.Unmarshal(text, &groups); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	where := filepath.Base(path)
	for _, g := range groups {
		chain, err := build(t, `{"schema":`+withDialect(g.Schema, uri)+`}`)
		if err != nil {
			i := slices.IndexFunc(refusable, func(r string) bool { return strings.Contains(err.Error(), r) })
			if i < 0 {
				t.Errorf("%s: %s: refused: %v", where, g.Description, err)
				failed += len(g.Tests)
				continue
			}
			reasons[refusable[i]] += len(g.Tests)
			refused += len(g.Tests)
			continue
		}
		for _, c := range g.Tests {
			v := judge(t, chain, string(c.Data))
			if v.Failure != "" || (v.Action == router.Continue) != c.Valid || (v.Action == router.Deny) == c.Valid {
				t.Errorf("%s: %s: %s: want valid %v, got action %d, %q, failure %q", where, g.Description, c.Description, c.Valid, v.Action, v.Reason, v.Failure)
				failed++
				continue
			}
			passed++
		}
		chain.Retire()
	}
	return passed, refused, failed
}

// withDialect puts $schema into a schema that names none and is to be read by
// another dialect than the default.
func withDialect(schema json.RawMessage, uri string) string {
	var object map[string]json.RawMessage
	if json.Unmarshal(schema, &object) != nil || object == nil || object["$schema"] != nil || strings.Contains(uri, "2020-12") {
		return string(schema)
	}
	if len(object) == 0 {
		return `{"$schema":"` + uri + `"}`
	}
	return `{"$schema":"` + uri + `",` + strings.TrimPrefix(strings.TrimSpace(string(schema)), "{")
}
