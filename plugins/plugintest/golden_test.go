package plugintest_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/txtar"

	"sluice/plugins/filters"
	"sluice/plugins/plugintest"
)

var rewriteGolden = flag.Bool("golden", false, "rewrite the last file of each archive in testdata with what happens")

// golden runs each archive of a folder: its comment's first line is the .wasm,
// its first file the fixtures, and its last what is to come out.
func golden(t *testing.T, folder string, run func(t *testing.T, wasm, path string) string) {
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no archives in %s (%v)", folder, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			fixtures := filepath.Join(t.TempDir(), archive.Files[0].Name)
			if err := os.WriteFile(fixtures, archive.Files[0].Data, 0o600); err != nil {
				t.Fatal(err)
			}
			wasm, _, _ := strings.Cut(string(archive.Comment), "\n")
			got := strings.ReplaceAll(run(t, wasm, fixtures), filepath.Dir(fixtures)+"/", "")
			want := &archive.Files[len(archive.Files)-1]
			if *rewriteGolden {
				want.Data = []byte(got)
				if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if d := diff.Diff("want", want.Data, "got", []byte(got)); d != nil {
				t.Errorf("%s", d)
			}
		})
	}
}

func TestFaultsOfAFileAreNamedWithTheirLineAndARemedy(t *testing.T) {
	golden(t, "errors", func(t *testing.T, _, path string) string {
		_, err := plugintest.Load(path)
		if err == nil {
			t.Fatal("it loads")
		}
		return err.Error() + "\n"
	})
}

// varying is what differs from run to run, or from build to build of a guest.
var varying = regexp.MustCompile(`(took |fuel: )?\d+( ms)?`)

func steady(text string) string {
	return varying.ReplaceAllStringFunc(text, func(s string) string {
		switch {
		case strings.HasSuffix(s, " ms"):
			return "N ms"
		case strings.HasPrefix(s, "took "), strings.HasPrefix(s, "fuel: "):
			return strings.TrimRight(s[:5], " ") + " N"
		}
		return s
	})
}

func runFile(t *testing.T, wasm, path string, update bool) *plugintest.Report {
	t.Helper()
	f, err := plugintest.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := plugintest.Run(t.Context(), []*plugintest.File{f}, plugintest.Options{Wasm: wasm, Builtins: filters.FS, Update: update})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func reportText(t *testing.T, r *plugintest.Report) string {
	t.Helper()
	var text strings.Builder
	if err := r.WriteText(&text, false); err != nil {
		t.Fatal(err)
	}
	return steady(text.String())
}

func TestReportsSayWhatDiffers(t *testing.T) {
	golden(t, "reports", func(t *testing.T, wasm, path string) string {
		return reportText(t, runFile(t, wasm, path, false))
	})
}

func TestUpdateRewritesWhatIsExpectedAndNothingElse(t *testing.T) {
	golden(t, "updates", func(t *testing.T, wasm, path string) string {
		text := reportText(t, runFile(t, wasm, path, true))
		after, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if again := runFile(t, wasm, path, false); strings.Contains(text, "FAIL") == again.OK() {
			t.Errorf("run again, it says:\n%s", reportText(t, again))
		}
		return steady(string(after)) + "=== report\n" + text
	})
}

func TestUpdateLeavesAFileThatIsRightAlone(t *testing.T) {
	before, err := os.ReadFile("testdata/hello.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "hello.yaml")
	if err := os.WriteFile(path, before, 0o640); err != nil {
		t.Fatal(err)
	}
	r := runFile(t, "../../sdk/c/examples/hello/hello.wasm", path, true)
	after, err := os.ReadFile(path)
	if err != nil || string(after) != string(before) || !r.OK() || r.Files[0].Updated {
		t.Errorf("%v, updated %v:\n%s", err, r.Files[0].Updated, after)
	}
}
