package capture

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Reader reads a capture.
type Reader struct {
	Header Header

	// End is the last line; nil: there is none, because the capture was cut off, or
	// its end is not yet read.
	End *End

	// Cut says that the file ends in the middle: of a line, or of the
	// compression. Everything before was read.
	Cut bool

	file    *os.File
	lines   *bufio.Reader
	sources map[int]*Source
	line    int
}

// Open opens a file with a capture, gzipped or not. The error names it.
func Open(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r := &Reader{file: f, lines: bufio.NewReaderSize(f, 64<<10), sources: make(map[int]*Source)}
	if err := r.open(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func (r *Reader) open() error {
	if magic, _ := r.lines.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		zip, err := gzip.NewReader(r.lines)
		if err != nil {
			return fmt.Errorf("it is not a capture: %w", err)
		}
		r.lines = bufio.NewReaderSize(zip, 64<<10)
	}
	text, err := r.next()
	if err != nil {
		return errors.New("it is not a capture, or an empty one: it has no first line")
	}
	var first struct {
		Header *Header `json:"sluice_capture"`
	}
	if err := json.Unmarshal(text, &first); err != nil || first.Header == nil {
		return errors.New("it is not a capture: its first line is not that of one")
	}
	r.Header = *first.Header
	if r.Header.Version != Version {
		return fmt.Errorf("it is of version %d, and this program reads version %d: use the program that wrote it", r.Header.Version, Version)
	}
	return nil
}

// Close closes the file.
func (r *Reader) Close() error { return r.file.Close() }

// Filters are the filters of which the capture has told so far.
func (r *Reader) Filters() []*Source {
	var out []*Source
	for id := 1; len(out) < len(r.sources); id++ {
		if s := r.sources[id]; s != nil {
			out = append(out, s)
		}
	}
	return out
}

// Source is the filter with the number.
func (r *Reader) Source(id int) *Source { return r.sources[id] }

// Next is the next event; io.EOF at the end, where Cut says whether it is that of
// the capture.
func (r *Reader) Next() (*Event, error) {
	for {
		text, err := r.next()
		if err != nil {
			return nil, err
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, fmt.Errorf("line %d: %w", r.line, err)
		}
		switch {
		case l.Filter != nil:
			if l.Filter.ID < 1 || l.Filter.ID > maxSources || r.sources[l.Filter.ID] != nil {
				return nil, fmt.Errorf("line %d: a filter cannot have the number %d", r.line, l.Filter.ID)
			}
			r.sources[l.Filter.ID] = l.Filter
		case l.End != nil:
			r.End = l.End
		case l.Event != nil:
			if err := r.check(l.Event); err != nil {
				return nil, fmt.Errorf("line %d: %w", r.line, err)
			}
			return l.Event, nil
		}
	}
}

func (r *Reader) check(e *Event) error {
	for i := range e.Asked {
		a := &e.Asked[i]
		if r.sources[a.Filter] == nil {
			return fmt.Errorf("no line tells of filter %d", a.Filter)
		}
		if _, err := a.question(e); err != nil {
			return err
		}
	}
	return nil
}

// next is the next whole line. A file that ends in the middle of one, as that of a
// process that was killed, ends before it.
func (r *Reader) next() ([]byte, error) {
	var text []byte
	for {
		part, err := r.lines.ReadSlice('\n')
		if len(text)+len(part) > maxLine {
			return nil, fmt.Errorf("line %d is longer than any of a capture", r.line+1)
		}
		text = append(text, part...)
		switch {
		case err == nil:
			r.line++
			return text, nil
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			r.Cut = len(text) > 0 || r.End == nil
			return nil, io.EOF
		case errors.Is(err, io.ErrUnexpectedEOF):
			r.Cut = true
			return nil, io.EOF
		}
		return nil, err
	}
}

// sourceKey tells filters apart that were not asked alike.
func sourceKey(s *Source) string {
	text, _ := json.Marshal(s) // of nothing but text and numbers
	sum := sha256.Sum256(text)
	return string(sum[:])
}
