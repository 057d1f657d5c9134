package meter

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
)

// corpusRoot is where the wasm specification's tests lie in wazero's source, which the module cache holds.
var corpusRoot = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		return "", err
	}
	root := filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test")
	_, err = os.Stat(root)
	return root, err
})

type sample struct {
	name string
	wasm []byte
}

// corpus returns every .wasm of wazero's own tests, sorted by name.
func corpus(t testing.TB, under ...string) []sample {
	root, err := corpusRoot()
	if err != nil {
		t.Skip("the sources of wazero with their tests are not at hand: ", err)
	}
	var all []sample
	err = filepath.WalkDir(filepath.Join(append([]string{root}, under...)...), func(path string, d os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".wasm" {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		all = append(all, sample{filepath.ToSlash(name), b})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
	if len(all) == 0 {
		t.Fatal("no module found under ", root, under)
	}
	return all
}

// withoutCustom drops a module's custom sections, which do not take part in its validity. What is not a sequence of
// sections comes back as it is.
func withoutCustom(wasm []byte) (out []byte) {
	defer func() {
		if recover() != nil {
			out = wasm
		}
	}()
	if len(wasm) < 8 {
		return wasm
	}
	out = bytes.Clone(wasm[:8])
	r := &reader{b: wasm, i: 8}
	for r.more() {
		start := r.i
		id := r.byte()
		r.take(r.u32())
		if id != secCustom {
			out = append(out, wasm[start:r.i]...)
		}
	}
	return out
}
