package filters

import (
	"io/fs"
	"path/filepath"
	"testing"
)

func TestTheBundledFiltersAreNamedAsTheHostLooksForThem(t *testing.T) {
	found := 0
	err := fs.WalkDir(FS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		found++
		if name := filepath.Dir(path); path != name+"/"+name+".wasm" {
			t.Errorf("%s is not <name>/<name>.wasm", path)
		}
		return nil
	})
	if err != nil || found == 0 {
		t.Errorf("%d filters, %v", found, err)
	}
}
