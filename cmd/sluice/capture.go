package main

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"sluice/plugins"
	"sluice/plugins/capture"
)

// startCapture begins what the configuration says is to be captured; nil: nothing.
func startCapture(l *loaded, log *slog.Logger) (*capture.Capture, error) {
	c := &l.Capture
	if c.File == "" {
		return nil, nil
	}
	file := c.File
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(l.File), file)
	}
	started, err := capture.Start(capture.Options{
		File: file, For: c.For, MaxSize: int64(c.MaxSize), Sample: float64(c.Sample), Headers: c.Headers, Redact: c.Redact,
		Log: log, Node: nodeVersion(),
	})
	if err != nil {
		var errs configErrors
		errs.add(l.placeOf("capture.file"), "capture.file", "%s", strings.TrimPrefix(err.Error(), "capture: "))
		return nil, errs
	}
	return started, nil
}

// recorder is the capture as the host takes it: a nil interface for none.
func recorder(c *capture.Capture) plugins.Recorder {
	if c == nil {
		return nil
	}
	return c
}

// capture checks what is to be captured. It opens nothing.
func (v *validator) capture() {
	c := &v.l.Capture
	v.positive("capture.for", c.For)
	if c.MaxSize < capture.MinSize {
		v.fail("capture.max_size", "%s is less than %s", c.MaxSize, Size(capture.MinSize))
	}
	if c.Sample <= 0 {
		v.fail("capture.sample", "must be more than 0%%; to capture nothing, leave capture.file away")
	}
	if err := capture.CheckRedact(c.Redact); err != nil {
		path, why, _ := strings.Cut(err.Error(), ": ")
		v.fail("capture."+path, "%s", why)
	}
}

// hasSecrets reports whether values of a filter's config came from variables or
// files.
func (l *loaded) hasSecrets(filter int) bool {
	prefix := fmt.Sprintf("filters[%d].", filter)
	for _, filled := range l.Filled {
		if strings.HasPrefix(filled, prefix+"config") || strings.HasPrefix(filled, prefix+"candidate.config") {
			return true
		}
	}
	return false
}
