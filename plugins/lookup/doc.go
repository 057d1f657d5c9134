// Package lookup fetches what a filter needs to know from outside, before the
// filter is asked: the answer to an HTTP request, or the value of a key in Redis.
// docs/lookups.md is the text for users.
//
// The path of a lookup: a Spec, as the entry of a filter has it, becomes a Plan
// when the filter is loaded (plan.go): bounds are checked, templates parsed, and
// what could lead a request elsewhere refused (template.go). An Event (event.go)
// becomes a question: the templates with its values, each of which stays in its
// place. Lookup.Resolve (resolve.go) answers it from the cache (cache.go), by
// sharing a question that is on its way, or by asking its source (source.go) once
// it is its turn and the breaker is closed.
//
// The package starts no goroutine of its own: whoever asks first waits for the
// answer itself, and those who share it wait for that. Close makes them return,
// and returns after them.
//
// Locks: Lookup.mu alone, which guards the cache and the questions on their way.
// Nothing is asked, and nobody waited for, under it.
package lookup
