package capture

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

const (
	// maxLine is the longest line, in bytes: an event with more is dropped.
	maxLine = 16 << 20

	// flushAt is how much may wait to be compressed to whole blocks. What has not
	// been is lost when the process is killed.
	flushAt = 256 << 10

	// endRoom is kept free for the last line and gzip's own end.
	endRoom = 1 << 10

	// MinSize is the least that a capture may be bounded to, in bytes.
	MinSize = 64 << 10
)

var (
	errFull    = errors.New("the capture has its size")
	errTooLong = errors.New("the event is longer than a line may be")
)

// file is the file of a capture, of gzipped lines. It is never longer than max.
type file struct {
	f       *os.File
	zip     *gzip.Writer
	max     int64
	written int64 // to f
	pending int64 // bytes that may still come of lines that were added
}

// create makes the file. What is there already is kept under its name with .1
// added, where it replaces what was there; but not a capture without any event,
// as nodes leave that do not get to serve.
func create(path string, max int64) (*file, error) {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type()&^fs.ModeSymlink != 0:
		return nil, fmt.Errorf("%s is not a file", path)
	case isBlank(path):
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	case !isGzip(path):
		return nil, fmt.Errorf("%s is there, and is no capture: it is not moved away", path)
	default:
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	out := &file{f: f, max: max}
	if out.zip, err = gzip.NewWriterLevel(out, gzip.BestSpeed); err != nil {
		f.Close()
		return nil, err
	}
	return out, nil
}

// isGzip reports whether the file begins as captures do, or is empty, as one that
// had no time to begin. Anything else was named by mistake.
func isGzip(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) // a link to nothing
	}
	defer f.Close()
	var magic [2]byte
	n, err := io.ReadFull(f, magic[:])
	return n == 0 && errors.Is(err, io.EOF) || magic == [2]byte{0x1f, 0x8b}
}

// isBlank reports whether the file is a capture of nothing.
func isBlank(path string) bool {
	r, err := Open(path)
	if err != nil {
		return false
	}
	defer r.Close()
	_, err = r.Next()
	return errors.Is(err, io.EOF)
}

// Write is the compressor's.
func (f *file) Write(b []byte) (int, error) {
	n, err := f.f.Write(b)
	f.written += int64(n)
	return n, err
}

// worst is the most that n bytes can come to: what does not compress is stored
// in blocks, with a head each.
func worst(n int) int64 { return int64(n) + int64(n)/1000 + 64 }

// add adds a line. errFull: it does not fit any more, and nothing has happened;
// errTooLong: it never would.
func (f *file) add(l *line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if len(text) >= maxLine {
		return errTooLong
	}
	if f.written+f.pending+worst(len(text)+1)+endRoom > f.max {
		if err := f.flush(); err != nil {
			return err
		}
		if f.written+worst(len(text)+1)+endRoom > f.max {
			return errFull
		}
	}
	return f.put(text)
}

func (f *file) put(text []byte) error {
	if _, err := f.zip.Write(append(text, '\n')); err != nil {
		return err
	}
	if f.pending += worst(len(text) + 1); f.pending >= flushAt {
		return f.flush()
	}
	return nil
}

// flush makes everything so far readable.
func (f *file) flush() error {
	if f.pending == 0 {
		return nil
	}
	f.pending = 0
	return f.zip.Flush()
}

// end adds the last line, for which there is room, and closes the file.
func (f *file) end(e *End) error {
	text, err := json.Marshal(&line{End: e})
	if err == nil {
		err = f.put(text)
	}
	return errors.Join(err, f.zip.Close(), f.f.Close())
}

// abandon closes a file that cannot be written to.
func (f *file) abandon() { f.f.Close() }
