// Package faults holds several nodes on Redis to their word while something
// breaks: clients send numbered messages to each other, and what each of them has
// received is held against what was acknowledged.
//
// The path: crowd (crowd_test.go, client_test.go) connects clients to nodes that
// are processes of the real program (test/program); each client writes a record of
// what it sent, what it was told of that, and what it got (record.go). A fault
// (faults_test.go, matrix_test.go) breaks Redis, the network or a node meanwhile.
// Afterwards Check (checker.go), which knows nothing of any of this, judges the
// records.
//
// With history: nothing acknowledged is missing unless the receiver was told so
// (gap with reason lost, recovered: false), nothing comes twice, and order holds.
// Without: whatever is missing lies where the receiver was told of a possible gap
// or had no connection, and it was told within a probe interval of what came next.
package faults
