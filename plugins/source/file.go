package source

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// readFile reads a module's file, and the signature beside it if that is
// wanted. One byte more than fits is read of a module, so that whoever checks
// it can say that it is too large.
func readFile(path string, wantSignature bool) (wasm, signature []byte, err error) {
	if wasm, err = readRegular(path, MaxModule+1); err != nil {
		return nil, nil, err
	}
	if !wantSignature {
		return wasm, nil, nil
	}
	signature, err = readRegular(path+SignatureSuffix, maxSignature+1)
	if errors.Is(err, fs.ErrNotExist) {
		return wasm, nil, nil
	}
	var refused *Refusal
	if errors.As(err, &refused) {
		refused.Cause = "of its signature: " + refused.Cause
	}
	return wasm, signature, err
}

// missing is a file that is not there.
type missing struct{ Refusal }

func (m *missing) Error() string        { return m.Refusal.Error() }
func (m *missing) Unwrap() error        { return &m.Refusal }
func (m *missing) Is(target error) bool { return target == fs.ErrNotExist }

// readRegular reads at most limit bytes of a regular file. It is looked at before
// it is opened: opening a pipe would wait for its writer.
func readRegular(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &missing{*refuse(badFile, "check the path: it is relative to the configuration file", "the file does not exist")}
	}
	if err != nil {
		return nil, unreadable(err)
	}
	if !info.Mode().IsRegular() {
		return nil, refuse(badFile, "name a .wasm file", "it is not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, unreadable(err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit))
	if err != nil {
		return nil, unreadable(err)
	}
	return data, nil
}

func unreadable(err error) *Refusal { return refuse(badFile, "", "the file cannot be read: %v", err) }
