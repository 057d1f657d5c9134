package router_test

import "testing"

func TestTwoClientsChatInARoom(t *testing.T) {
	n := startNode(t)
	ann := n.as(t, "ann")
	ann.join("lobby")
	bob := n.as(t, "bob")
	ann.expect("user_connected")
	bob.join("lobby")
	if e := ann.expect("user_joined"); e.str("user_id") != "bob" || e.str("room") != "lobby" {
		t.Fatalf("got %v", e)
	}
	bob.send(`{"type":"room_message","room":"lobby","content":{"text":"hi"}}`)
	for _, c := range []*client{ann, bob} {
		e := c.expect("chat")
		if e.str("from") != "bob" || e.str("room") != "lobby" || e["content"].(map[string]any)["text"] != "hi" {
			t.Fatalf("got %v", e)
		}
	}
}
