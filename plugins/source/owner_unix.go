//go:build unix

package source

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// CheckOwner refuses a folder of somebody else, who can change what is in it
// whatever its mode says.
func CheckOwner(info fs.FileInfo) error {
	if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Uid != 0 && int(s.Uid) != os.Geteuid() {
		return errors.New("it belongs to another user: chown it, or name another folder")
	}
	return nil
}
