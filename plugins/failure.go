package plugins

import (
	"errors"
	"fmt"
	"strings"
)

// Cause is why a filter failed on an event.
type Cause uint8

// The causes of failures. Their words are in Verdict.Failure, logs and metrics.
const (
	CauseNone        Cause = iota
	CauseTimeout           // it ran longer than its time
	CauseStack             // it recursed deeper than its stack
	CauseTrap              // it executed an illegal operation, or passed one to the host
	CauseExit              // it called proc_exit or abort
	CauseInternal          // the host itself failed while the guest ran; a bug
	CausePointer           // an output or the buffer lies outside its memory, or is misaligned
	CauseUTF8              // an output that is text is not UTF-8
	CauseJSON              // an output that is JSON is not
	CauseVerdict           // the verdict does not exist, or not for this hook
	CauseValue             // an output has a value that its field does not allow
	CauseNotAllowed        // an output that this hook or the configuration does not allow
	CauseTooBig            // an output is over its maximum, or the guest has no buffer for the event
	CauseGuest             // the guest reported its own failure by a negative verdict
	CauseUnavailable       // no instance: the last one was discarded and its successor is not ready
	CauseOverloaded        // no lane became free in time
	CauseLookup            // what it needs to know could not be fetched
	numCauses
)

var causeWords = [numCauses]string{
	"", "timeout", "stack", "trap", "exit", "internal", "bad_pointer", "bad_utf8", "bad_json", "bad_verdict",
	"bad_value", "not_allowed", "too_big", "guest_error", "unavailable", "overloaded", "lookup",
}

func (c Cause) String() string { return causeWords[c] }

// Causes are the words of all causes, for metrics that start at zero.
func Causes() []string { return append([]string(nil), causeWords[1:]...) }

// discards reports whether an instance cannot be trusted after the cause: its
// shadow stack is not restored after a trap, and one that hands out wild
// pointers has corrupt memory.
func (c Cause) discards() bool { return c >= CauseTimeout && c <= CausePointer }

// The panics by which host functions stop a guest. wazero recovers them and
// wraps them in the error of the call.
var (
	errTimeout    = errors.New("out of time")
	errStack      = errors.New("recursion too deep")
	errBadPointer = errors.New("a pointer passed to the host lies outside the memory")
	errRandom     = errors.New("there are no random bytes")
)

// exitError is proc_exit or abort.
type exitError struct{ what string }

func (e *exitError) Error() string { return e.what }

// failure is a cause with what is known about it. It is an error, so that
// creating an instance can return it.
type failure struct {
	cause  Cause
	detail string
	tail   string // the end of what the guest wrote to stdout and stderr
}

func (f *failure) Error() string {
	if f.detail == "" {
		return f.cause.String()
	}
	return f.detail
}

// during says what the guest was doing. It is nil for no failure.
func (f *failure) during(what string) *failure {
	if f != nil && !strings.HasPrefix(f.detail, exportBuffer) {
		f.detail = what + ": " + f.detail
	}
	return f
}

// classify turns the error of a call into the guest into a failure.
func classify(err error) *failure {
	var exit *exitError
	detail, trace, _ := strings.Cut(err.Error(), "\nwasm stack trace:")
	detail = strings.TrimPrefix(detail, "wasm error: ")
	detail = strings.TrimSuffix(detail, " (recovered by wazero)")
	switch {
	case errors.Is(err, errTimeout):
		return &failure{cause: CauseTimeout, detail: detail}
	case errors.As(err, &exit):
		return &failure{cause: CauseExit, detail: exit.what}
	case errors.Is(err, errStack), strings.Contains(detail, "stack overflow"):
		return &failure{cause: CauseStack, detail: errStack.Error()}
	case errors.Is(err, errRandom):
		return &failure{cause: CauseInternal, detail: detail}
	case strings.Contains(trace, "Go runtime stack trace:"):
		return &failure{cause: CauseInternal, detail: err.Error()}
	}
	return &failure{cause: CauseTrap, detail: detail}
}

// RefusedConfiguration stands in LoadError.Cause before a filter's own words
// about its configuration, which may quote it.
const RefusedConfiguration = "it refuses its configuration: "

// LoadError is why a filter cannot be used.
type LoadError struct {
	Filter string // its name in the configuration
	File   string // what it was loaded from
	Cause  string // what is wrong
	Remedy string // what to do about it; may be ""

	// Pointer is where in the filter's config its schema found the fault, as a
	// JSON pointer (RFC 6901); "" may be the whole of it, or that it is no such
	// fault.
	Pointer string

	// Candidate says that it is the filter's candidate that cannot be used.
	Candidate bool
}

func (e *LoadError) Error() string {
	where := fmt.Sprintf("filter %q", e.Filter)
	if e.Candidate {
		where = "the candidate of " + where
	}
	if e.File != "" {
		where += " (" + e.File + ")"
	}
	if e.Remedy == "" {
		return where + ": " + e.Cause
	}
	return where + ": " + e.Cause + "; " + e.Remedy
}
