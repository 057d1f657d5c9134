//go:build !unix

package socket

import "errors"

func readOnce(uintptr, []byte) (int, bool, error) {
	return 0, false, errors.ErrUnsupported
}
