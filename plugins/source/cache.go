package source

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what is kept on disk. Beyond them goes what was used least recently.
const (
	maxKeptBytes = 512 << 20
	maxKeptFiles = 1024
	staleTime    = time.Hour // after which a temporary file is nobody's
)

const (
	moduleSuffix    = ".wasm"
	recordSuffix    = ".json"
	temporaryPrefix = "new-"
)

// cache keeps modules on disk: DIGEST.wasm and DIGEST.wasm.sig by the digest of
// the module, and NAME.json by that of a reference, which says what its last good
// module was. A file is written whole or not at all.
type cache struct {
	dir string // static

	mu sync.Mutex // held while the folder is changed
}

// record is what the last good module of a reference was.
type record struct {
	Reference string    `json:"reference"` // for people; not what it is found by
	SHA256    string    `json:"sha256"`
	Kept      time.Time `json:"kept"`
}

// openCache opens the folder, which it makes if it is not there.
func openCache(dir string) (*cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("%s is not a folder", dir)
	case info.Mode().Perm()&0o022 != 0:
		return nil, fmt.Errorf("others may write to it (%s): chmod 700 it", info.Mode().Perm())
	}
	if err := CheckOwner(info); err != nil {
		return nil, err
	}
	return &cache{dir: dir}, nil
}

func (c *cache) modulePath(digest [sha256.Size]byte) string {
	return filepath.Join(c.dir, hex.EncodeToString(digest[:])+moduleSuffix)
}

func (c *cache) recordPath(text string) string {
	name := sha256.Sum256([]byte(text))
	return filepath.Join(c.dir, hex.EncodeToString(name[:])+recordSuffix)
}

// module reads a module and its signature. ok is false if it is not there; one
// that is damaged is removed, and is not there.
func (c *cache) module(digest [sha256.Size]byte) (wasm, signature []byte, ok bool) {
	path := c.modulePath(digest)
	wasm, err := readRegular(path, MaxModule+1)
	if err != nil {
		return nil, nil, false
	}
	if sha256.Sum256(wasm) != digest {
		_ = os.Remove(path)
		return nil, nil, false
	}
	signature, _ = readRegular(path+SignatureSuffix, maxSignature+1)
	touch(path)
	return wasm, signature, true
}

// lastGood is the digest of the last good module of a reference.
func (c *cache) lastGood(text string) (digest [sha256.Size]byte, ok bool) {
	data, err := readRegular(c.recordPath(text), 64<<10)
	if err != nil {
		return digest, false
	}
	var found record
	if json.Unmarshal(data, &found) != nil {
		return digest, false
	}
	digest, err = ParseDigest(found.SHA256)
	return digest, err == nil
}

// keep writes a module down as the last good one of a reference. The record
// comes last: until then, the one before is in force.
func (c *cache) keep(text string, wasm, signature []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	digest := sha256.Sum256(wasm)
	path := c.modulePath(digest)
	if have, err := readRegular(path, MaxModule+1); err != nil || sha256.Sum256(have) != digest {
		if err := c.writeLocked(path, wasm); err != nil {
			return err
		}
	}
	if len(signature) > 0 {
		if err := c.writeLocked(path+SignatureSuffix, signature); err != nil {
			return err
		}
	}
	touch(path)
	data, err := json.Marshal(record{Show(text), hex.EncodeToString(digest[:]), time.Now().UTC()})
	if err != nil {
		return err
	}
	if err := c.writeLocked(c.recordPath(text), append(data, '\n')); err != nil {
		return err
	}
	c.pruneLocked(path)
	return nil
}

// writeLocked puts a file where it belongs once it is whole and on the disk.
func (c *cache) writeLocked(path string, data []byte) error {
	file, err := os.CreateTemp(c.dir, temporaryPrefix+"*") // its mode is 0600
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

// touch says that a file was used.
func touch(path string) {
	now := time.Now()
	_ = os.Chtimes(path, now, now)
}

// kept is a file in the folder.
type kept struct {
	path string
	size int64
	used time.Time
}

// pruneLocked removes what was used least recently until the rest fits, and
// temporary files that a node left which did not end well. spare stays. A
// record whose module has gone is as good as none.
func (c *cache) pruneLocked(spare string) {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	var files []kept
	var bytes int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		path := filepath.Join(c.dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), temporaryPrefix):
			if time.Since(info.ModTime()) > staleTime {
				_ = os.Remove(path)
			}
		case ours(e.Name()) && path != spare:
			files = append(files, kept{path, info.Size(), info.ModTime()})
			bytes += info.Size()
		}
	}
	slices.SortFunc(files, func(a, b kept) int { return a.used.Compare(b.used) })
	count := len(files)
	for _, f := range files {
		if count <= maxKeptFiles && bytes <= maxKeptBytes {
			return
		}
		if err := os.Remove(f.path); err == nil || errors.Is(err, fs.ErrNotExist) {
			count--
			bytes -= f.size
		}
	}
}

// ours reports whether a file has a name of the cache: nothing else is removed.
func ours(name string) bool {
	for _, suffix := range []string{moduleSuffix + SignatureSuffix, moduleSuffix, recordSuffix} {
		if stem, ok := strings.CutSuffix(name, suffix); ok {
			_, err := ParseDigest(stem)
			return err == nil
		}
	}
	return false
}
