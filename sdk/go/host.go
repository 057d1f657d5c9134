package sluice

import "errors"

// Level is how much a log line matters.
type Level int32

// The levels.
const (
	Debug Level = iota
	Info
	Warn
	Error
)

// The errors of host functions.
var (
	ErrArgument    = errors.New("sluice: the host refused an argument")
	ErrUnsupported = errors.New("sluice: this host does not have the function")
	ErrNotFound    = errors.New("sluice: not found")
	ErrQuota       = errors.New("sluice: over a quota")
	ErrUnavailable = errors.New("sluice: temporarily unavailable")
)

func errorOf(result int32) error {
	switch {
	case result >= 0:
		return nil
	case result == -1:
		return ErrArgument
	case result == -3:
		return ErrNotFound
	case result == -4:
		return ErrQuota
	case result == -5:
		return ErrUnavailable
	}
	return ErrUnsupported
}
