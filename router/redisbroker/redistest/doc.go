// Package redistest starts real Redis servers for tests, and breaks them: a
// server of its own for a test (Start), a group with Sentinels (StartSentinel), a
// Cluster (StartCluster), and a TCP proxy that delays, cuts or swallows what
// passes between a client and a server (NewProxy).
//
// Everything listens on loopback, keeps its files in the test's temporary folder
// and ends with the test, a test that is killed included. The program is
// redis-server, or what the variable REDIS_SERVER names: another version, or
// Valkey.
//
// Goroutines: each process has one that starts it and awaits its end; a Proxy has
// one that accepts, and four for each connection. All have ended when the test's
// cleanup has.
package redistest
