package membroker_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"sluice/router"
	"sluice/router/brokertest"
	"sluice/router/membroker"
)

func TestMain(m *testing.M) {
	if os.Getenv(faultVariable) != "" {
		os.Exit(m.Run()) // a faulty broker may leak; its test fails for other reasons
	}
	goleak.VerifyTestMain(m)
}

func newCluster(_ *testing.T, nodes int) []router.Broker {
	hub := membroker.NewHub()
	brokers := make([]router.Broker, nodes)
	for i := range brokers {
		brokers[i] = hub.Node()
	}
	return brokers
}

func TestBrokerContract(t *testing.T) {
	brokertest.Run(t, newCluster)
}
