package router

import "time"

// Identity is who a connection is, set by a connect filter (or, on a node
// without one, by the client itself). It is immutable.
type Identity struct {
	User    string
	Info    []byte    // raw JSON that others see beside the user; nil: none
	Claims  []byte    // raw JSON object that later filters see; nil: none
	Grants  *Grants   // what the identity may do; nil: the configured default
	Expires time.Time // zero: never
}
