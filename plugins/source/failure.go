package source

import (
	"fmt"

	"sluice/plugins/outbound"
)

// The reasons for which a module could not be had, beside those of
// plugins/outbound.
const (
	notFound  = "not_found" // there is nothing at the reference
	status    = "status"    // the source answers with a status that is no success
	malformed = "malformed" // what came is no artifact of a module
	mismatch  = "digest"    // what came is not what the registry itself announced
)

// The reasons for which a module that came is refused.
const (
	wrongPin  = "pin"       // it has another digest than the configuration says
	wrongSign = "signature" // its signature is damaged, or does not match it
	untrusted = "untrusted" // it is signed, but by no trusted key
	unsigned  = "unsigned"  // it has to be signed, and is not
	unpinned  = "unpinned"  // it has to be pinned, and is not
	badText   = "reference" // the reference or the pin cannot be read
	badFile   = "file"      // the file cannot be read
)

// notKept is counted when a module could not be written to disk.
const notKept = "not_kept"

// Reasons are the words under which Stats.Failures counts.
func Reasons() []string {
	return []string{
		outbound.Address, outbound.Connect, outbound.TLS, outbound.Timeout, outbound.Redirect, outbound.TooBig, outbound.Protocol,
		outbound.Canceled, notFound, status, malformed, mismatch,
		wrongPin, wrongSign, untrusted, unsigned, unpinned, badText, badFile, notKept,
	}
}

// Refusal is why there is no module. Its words have nothing of what a source
// answered.
type Refusal struct {
	Reason string // as in Reasons
	Cause  string
	Remedy string // may be ""
}

func (r *Refusal) Error() string {
	if r.Remedy == "" {
		return r.Cause
	}
	return r.Cause + "; " + r.Remedy
}

func refuse(reason, remedy, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Cause: fmt.Sprintf(format, args...), Remedy: remedy}
}

// away is a source that did not answer with a module.
type away struct{ reason, text string }

func (a *away) Error() string { return a.text }
