//go:build !unix

package socket

import "errors"

const canWriteRaw = false

func writeOnce(uintptr, []byte) (int, bool, error) {
	return 0, false, errors.ErrUnsupported
}
