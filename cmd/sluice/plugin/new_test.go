package plugin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNewRefusesWhatItCannotMake(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("full/of", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("file", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"a"}, "say which language by --lang: go, rust, c, assemblyscript, zig, wat"},
		{[]string{"--lang", "cobol", "a"}, `--lang: "cobol" is none of go, rust`},
		{[]string{"--lang", "c"}, "give the filter one name"},
		{[]string{"--lang", "c", "a", "b"}, "give the filter one name"},
		{[]string{"--lang", "c", "../a"}, `"../a" is not a name of 1 to 63 small letters`},
		{[]string{"--lang", "c", "A"}, "is not a name"},
		{[]string{"--lang", "c", "1a"}, "is not a name"},
		{[]string{"--lang", "c", strings.Repeat("a", 64)}, "is not a name"},
		{[]string{"--lang", "c", ""}, "every filter needs one"},
		{[]string{"--lang", "c", "sluice"}, "the SDK's folder"},
		{[]string{"--lang", "c", "full"}, "full is there, and is not empty"},
		{[]string{"--lang", "c", "file"}, "file is there, and is not a folder"},
	} {
		if out := fails(t, 1, append([]string{"new"}, c.args...)...); !strings.Contains(out, c.want) {
			t.Errorf("%q: it says %q", c.args, out)
		}
	}
	entries, err := os.ReadDir(".")
	if err != nil || len(entries) != 2 {
		t.Errorf("it left something behind: %v, %v", entries, err)
	}
	if err := os.Mkdir("empty", 0o755); err != nil {
		t.Fatal(err)
	}
	must(t, "new", "--lang", "wat", "empty")
	if _, err := os.Stat(filepath.Join("empty", "empty.wat")); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestACommandThatDoesNotExistIsNamedWithThoseThatDo(t *testing.T) {
	if out := fails(t, 1, "biuld"); !strings.Contains(out, `unknown command "biuld"; there are new, build, test, bench, fuzz, inspect, dev, sign, verify and replay`) {
		t.Errorf("it says %q", out)
	}
	if out := must(t, "--help"); !strings.Contains(out, "inspect") {
		t.Errorf("the help is %q", out)
	}
}
