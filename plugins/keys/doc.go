// Package keys holds the keys of a filter in the host and verifies signatures
// with them, so that no key material ever reaches a guest, a log, a metric or
// an error. It is a leaf: it knows neither tokens nor filters.
//
// The path of a key: a Spec, as an entry of keys: in the configuration, is read
// by NewSet (spec.go, pem.go, jwks.go), checked for strength and bound to its
// algorithms (key.go, alg.go), and put into a view (set.go). Keys behind a URL
// come by Start and by the source's goroutine: fetch.go asks, jwks.go reads,
// source.go decides when to ask again, and Set publishes a new view. What was
// fetched last serves for as long as the URL does not answer.
//
// The path of a signature (verify.go): load the view, choose the keys by kid and
// algorithm, try a bounded number. There is no lock, no I/O and no waiting on it. A
// kid that no key has is UnknownKid at once; it also asks the sources to fetch
// soon, at most once a minute, so that a key which its issuer rotated in is
// there for the token's next attempt.
//
// A key verifies under the algorithms that it is bound to and no other; a
// message's own claim about its algorithm chooses among them and adds nothing.
// All sources of a set are trusted alike: issuers that must not speak for each
// other belong into the sets of different filters.
//
// Goroutines:
//
//	who                 started by   owns                            ended by
//	whoever calls       the host     nothing                         -
//	Verify
//	first fetches       Start        its source's answer             the fetch's time-out, before Start returns
//	source.run, one     Start        when its source is asked next   Close, which waits for it
//	a URL
//
// Locks: Set.mu alone, held to replace the view and to read the status. Nothing
// is fetched, parsed or logged under it.
package keys
