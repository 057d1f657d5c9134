// Package plugintest runs filters as they ship: tables of events and of what is
// to become of them, against a .wasm, by the host that a node runs.
//
// # Path of a test
//
//	Load, LoadModule  file.go, events.go, expect.go   read a file against what it may say (decode.go)
//	FilterSpec        spec.go                         its keys of a filter's entry
//	Run               run.go                          one host and one stage for all files
//	runner.test       run.go                          a fresh chain, its kept counters and values
//	stage             stage.go                        the clock, the random bytes and the lookups that the filter sees
//	session.event     session.go                      a router.Event, as a connection would make it: Chain.Judge
//	compare           compare.go                      what happened, held against expect:
//	update            update.go                       or expect:, made what happened
//	Report            report.go, junit.go             for people and for machines
//
// Test (gotest.go) is the same below go test. Bench (bench.go, growth.go) and
// Fuzz (fuzz.go, generate.go) take the events of the same files.
//
// docs/fixtures.md is the reference of the format.
//
// # Goroutines
//
// None of its own. The host's (see package plugins) end with the host, which Run,
// Bench and Fuzz close before they return. stage.mu guards what the host's
// goroutines ask for; it is held for no call into anything.
package plugintest
