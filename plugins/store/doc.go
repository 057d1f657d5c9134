// Package store keeps what filters remember on a node beyond one connection:
// counters, token buckets, values and named series.
//
// # Path of a call
//
//	Space.CounterAdd   counter.go   check the arguments, pick the shard by the key's hash
//	table, shard       table.go     find the item, under the shard's lock
//	shard.reclaim      table.go     drop up to two others that have ended
//	budget             budget.go    or, where an item is added and the quota is used up:
//	Space.reclaim      space.go     drop what has ended in all shards, and try once more
//
// A Space is what one filter keeps. Whoever owns it says what time it is. No
// call does more than a bounded amount of work, or waits for anything but a
// shard's lock, and nothing runs in between: what has ended (counters whose
// window is over, buckets that are full, values past their time) is dropped by
// the calls that follow.
//
// # Goroutines
//
// None.
//
// # Locks
//
// One of a shard at a time, and no other beside it; Space.seriesMu alone. The
// clock is read under a shard's lock, so that no call sees the shard as of a
// later moment than its own.
package store
