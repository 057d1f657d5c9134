// Package source reads a filter's module from where the configuration says that
// it is, and finds out whether it may be used. It is a leaf: it knows neither
// WebAssembly nor filters.
//
// The path of a module: a reference (reference.go) is a file, an https URL or an
// artifact of an OCI registry. Reader.Read (source.go) fetches it (file.go,
// https.go, oci.go), bounded in size and time and through plugins/outbound, and
// holds it against what was asked for (trust.go): the pin, which is its SHA-256,
// and the keys by which it has to be signed (signature.go). What passes is a
// Module. When it has proven itself in a chain, Reader.Keep writes it to disk
// (cache.go) as the last good one of its reference.
//
// Two things can go wrong, and they are not the same. A source that is away
// answers with anything but a module: then the last good one is used, which is
// logged and counted. A module that came and is not what was pinned or signed is
// refused, and nothing takes its place: somebody has to hear of it.
//
// What is on disk is held against its digest, the pin and the keys again, each
// time that it is read. Where there is neither a pin nor a key, it is the folder
// that says which module a reference led to, so that one which somebody else owns
// or may write to is not used.
//
// The package starts no goroutine and keeps no connection. Locks: Reader.mu,
// around counters and the hosts that are not asked for a while; cache.mu, around
// changes of the folder. Neither is held while the other is taken, and nothing is
// fetched under them.
package source
