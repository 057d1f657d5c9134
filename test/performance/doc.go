// Command performance measures what Sluice costs beside the least that a room
// server can cost, on this machine, in one run:
//
//	go run . [-quick]       the comparison with the floor, policy, slow members, Redis
//	go run . -growth        how costs grow with connections, rooms, members, payload, filters
//	go run . -gc            what GOGC and GOMEMLIMIT do
//	go run . -from FILE     the tables and the chart of results that -raw FILE kept
//
// It is run in this folder, and needs Linux. It is a module of its own, which
// imports nothing of Sluice: what it measures are processes.
//
// # What is compared
//
// The floor (folder floor) are minimal hubs on the library that Sluice uses
// too; each scenario is held against those ways of writing that can be its
// best, and each figure against the one that is best at it. The
// variable FLOOR names another program with the same flags (-addr, -accept,
// -out, -ping) to be used instead.
//
// # A run
//
// Each run has fresh processes (site.go, subject.go, process.go) on free ports
// of loopback, and one `sluice bench` that loads and watches them (drive.go). A
// scenario (scenario.go, growth.go) is a load and its subjects, which run in
// turn: A B C, C B A, A B C (compare.go). The machine's speed drifts by a quarter
// within minutes, so a ratio is that of two runs of one round, and what is
// printed is the median of the rounds' ratios, with the least and the most.
//
// A run in which anything was lost, doubled, reordered or refused is an error
// (report.go), and the command ends with 1. One in which other processes used
// much of the machine is repeated, but only so often (-retries); what was
// disturbed all the same is printed as such. An aim that is missed is printed,
// and is no error: on a busy machine it would be one by chance.
//
// # What ends
//
// Every process that is started here is stopped and waited for before the next
// run, after an error, and on SIGINT, SIGTERM and SIGHUP; when this process is
// killed, the kernel ends them. Goroutines: one a process, which waits for it;
// with -growth, one for each connection that holds rooms (holder.go).
package main
