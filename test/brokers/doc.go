// Package brokers compares what a node spends on a message with each broker,
// from socket to socket: the embedded one, and Redis on the same machine.
//
//	go test -run '^$' -bench . -benchtime 5x ./test/brokers
//
// Every operation is one round of both, one after the other, so that a machine
// whose speed drifts slows both down. Figures are processor time of the node's
// process, from the kernel, and leave Redis and the load out; Redis' own is beside
// them. docs/benchmarks.md has results.
package brokers
