// Package router holds connections, rooms and identities, and delivers
// messages. It defines what it needs from others: Filters judge events
// (package plugins), a Broker carries messages between nodes (membroker).
package router
