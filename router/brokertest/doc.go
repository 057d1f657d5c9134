// Package brokertest is the contract of router.Broker as tests: what Run says
// in its test names is what a router relies on, and all that it may.
//
// A broker may be asynchronous. Whatever must happen is awaited for Patience.
// That something does not happen is shown by something behind it that did: a
// later message of the same topic, for a topic has one order.
//
//	run.go            Run, and the table of the contract
//	cluster.go        nodes under test, and what tests do with them
//	recorder.go       a node's sink: what arrived, and what broke the contract on the way
//	delivery.go       who gets a message, and how it looks when it arrives
//	subscriptions.go  references, races
//	order.go          one order per room, per user, for broadcasts
//	history.go        offsets, what enters a history, is trimmed and ends
//	pages.go          what a page has
//	seam.go           a subscription's position, deliveries and pages fit together
//	keys.go           repetitions
//	presence.go       who is in a room, who was the first and the last
//	nodes.go          which nodes there are, and which rooms
//	lifecycle.go      contexts, health, closing
//
// Every test's recorders watch, whatever else it is about: no message twice, no
// two calls at a time for one topic, none after Close returned, offsets that rise, no
// RoomGap, for nothing is interrupted.
package brokertest
