package brokertest

import (
	"testing"
	"time"

	"sluice/router"
)

// Patience is how long Run waits for what must happen. Waiting ends as soon as
// it does, so that a large value costs nothing.
var Patience = 20 * time.Second

// NewCluster returns brokers that have not been started, which reach each other
// and nothing else: two calls give two clusters that share no message. Run
// closes the brokers; what else the cluster needs is torn down with t.Cleanup.
type NewCluster func(t *testing.T, nodes int) []router.Broker

// group is one chapter of the contract.
type group struct {
	name  string
	tests []test
}

type test struct {
	name  string
	nodes int
	run   func(t *testing.T, c *cluster)
}

// Run tests that brokers keep the contract of router.Broker.
func Run(t *testing.T, newCluster NewCluster) {
	groups := []group{
		{"Delivery", deliveryTests},
		{"Names", nameTests},
		{"Broadcasts", broadcastTests},
		{"Subscriptions", subscriptionTests},
		{"Order", orderTests},
		{"History", historyTests},
		{"Keys", keyTests},
		{"Presence", presenceTests},
		{"Nodes", nodeTests},
		{"Rooms", roomTests},
		{"Contexts", contextTests},
		{"Closing", closingTests},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, test := range g.tests {
				t.Run(test.name, func(t *testing.T) {
					test.run(t, start(t, newCluster, test.nodes))
				})
			}
		})
	}
}
