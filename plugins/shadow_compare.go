package plugins

import (
	"bytes"

	"sluice/router"
)

// told is what one version answered.
type told struct {
	answer
	cause   Cause  // of its failure; CauseNone: it answered
	version uint32 // of its state
}

// effective is what the verdict comes to by the settings.
func (t *told) effective(s *settings) router.Action {
	if t.action == router.Allow && !s.May.Allow {
		return router.Continue
	}
	return t.action
}

// kind is the first thing in which two answers differ.
type kind uint8

const (
	sameAnswer kind = iota
	differsFailure
	differsVerdict
	differsCode
	differsOutput
	numKinds
)

func (k kind) String() string { return [numKinds]string{"", "failure", "verdict", "code", "output"}[k] }

// compare tells the active version's answer from the candidate's. fields are the
// outputs that differ, of answers that have the same verdict and code.
func compare(c *copied, is *told) (kind, []string) {
	was, s := &c.was, &c.version.settings
	switch {
	case was.cause != is.cause:
		return differsFailure, nil
	case was.cause != CauseNone:
		return sameAnswer, nil
	case was.effective(s) != is.effective(s):
		return differsVerdict, nil
	case was.code != is.code:
		return differsCode, nil
	}
	var fields []string
	differ := func(name string, differs bool) {
		if differs {
			fields = append(fields, name)
		}
	}
	differ("reason", !bytes.Equal(was.reason, is.reason))
	differ("retry", was.retry != is.retry)
	differ("expires", was.expires != is.expires)
	a, b := was.outputs(), is.outputs()
	for i, name := range outputWords {
		x, y := c.resulting(name, *a[i]), c.resulting(name, *b[i])
		if name == "state" && was.version != is.version {
			continue // they cannot be compared
		}
		differ(name, x.set != y.set || !bytes.Equal(x.bytes, y.bytes))
	}
	if fields == nil {
		return sameAnswer, nil
	}
	return differsOutput, fields
}

// resulting is what an output leaves: one that is not set leaves the input as it
// was, so that writing the same again is no difference.
func (c *copied) resulting(name string, o output) output {
	if o.set {
		return output{true, o.bytes}
	}
	switch {
	case name == "state":
		return output{true, c.q.state}
	case c.event.Hook != router.HookMessage:
	case name == "payload":
		return output{true, c.q.payload}
	case name == "room":
		return output{true, []byte(c.q.room)}
	}
	return o
}
