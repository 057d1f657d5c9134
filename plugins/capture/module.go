package capture

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sluice/plugins"
)

// digest is the SHA-256 of a module, in hexadecimal.
func digest(plugin string, builtins fs.FS) (string, error) {
	var wasm []byte
	var err error
	if name, ok := strings.CutPrefix(plugin, "builtin:"); ok {
		if builtins == nil {
			return "", fmt.Errorf("there are no built-in filters here: name a .wasm file")
		}
		if wasm, err = fs.ReadFile(builtins, name+"/"+name+".wasm"); err != nil {
			err = fmt.Errorf("there is no built-in filter %q", name)
		}
	} else {
		wasm, err = readModule(plugin)
	}
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(wasm)
	return hex.EncodeToString(sum[:]), nil
}

func readModule(path string) ([]byte, error) {
	info, err := os.Stat(path) // before it is opened: opening a pipe would wait
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", filepath.Clean(path))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, plugins.MaxModule+1))
}
