package router_test

import (
	"testing"
	"time"

	"sluice/router"
)

func TestAJSONHeartbeatIsSentToClientsThatAskForIt(t *testing.T) {
	n := startNode(t, silent, withLimits(func(l *router.Limits) { l.PingInterval, l.PongTimeout = time.Second, time.Second }))
	u := n.connect(t, "ping=json")
	if u.welcome["ping_interval_ms"] != 1000.0 {
		t.Errorf("got %v", u.welcome)
	}
	for range 2 {
		u.expect("ping")
		u.send(`{"type":"pong"}`)
	}
}

func TestASilentClientIsReleased(t *testing.T) {
	n := startNode(t, withLimits(func(l *router.Limits) {
		l.PingInterval = 100 * time.Millisecond
		l.PongTimeout = 100 * time.Millisecond
	}))
	ws, _, err := n.dialRaw("", nil) // it never reads, and so never answers a ping
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	eventually(t, "the node gave it up", func() bool {
		s := n.Stats()
		return s.Accepted == 1 && s.Connections == 0 && s.Users == 0 && s.Closed["4102"] == 1 && s.Lost[router.LostSilent] == 1
	})
}
