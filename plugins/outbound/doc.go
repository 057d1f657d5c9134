// Package outbound is the one way by which the host asks other machines over
// HTTP: for key sets (plugins/keys), for lookups (plugins/lookup) and for filters
// (plugins/source). It is a leaf.
//
// Wherever a request leads, the same holds. It is https, or http to loopback
// (CheckURL). The address is looked at after its name was resolved and before it
// is dialled, so that no name can lead to a link-local address, where clouds have
// their metadata, however often it changes its mind (address.go). Redirects are
// not followed, no proxy is taken from the environment, and nothing is
// decompressed. An answer's header and body are bounded in size, and the whole of
// it in time by the caller's context (client.go).
//
// Errors have a cause to count, and words of our own: the library's may quote a
// URL with its password, or the answer.
//
// The package starts no goroutine of its own. Those of net/http belong to a
// client's connections; Close ends the ones that are idle. There are no locks.
package outbound
