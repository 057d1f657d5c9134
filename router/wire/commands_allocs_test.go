package wire

import "testing"

func TestEachCommandIsDecodedWithoutAllocating(t *testing.T) {
	var d Decoder
	var c Command
	for want, frame := range map[Type]string{
		JoinRoom:      `{"type":"join_room","room":"chat:lobby","id":1}`,
		LeaveRoom:     `{"type":"leave_room","room":"chat:lobby","id":"a"}`,
		RoomMessage:   `{"type":"room_message","room":"chat:lobby","content":{"text":"hello"},"key":"k"}`,
		Chat:          `{"type":"chat","content":"hello"}`,
		DirectMessage: `{"type":"direct_message","target_user":"bob","content":[1,2]}`,
		Presence:      `{"type":"presence","room":"chat:lobby","limit":10}`,
		History:       `{"type":"history","room":"chat:lobby","limit":10}`,
		Refresh:       `{"type":"refresh","token":"a.b.c"}`,
		Ping:          `{"type":"ping","id":7}`,
		Pong:          `{"type":"pong"}`,
	} {
		frame := []byte(frame)
		if n := testing.AllocsPerRun(100, func() {
			if err := d.Decode(frame, &c); err != nil || c.Type != want {
				t.Fatalf("%s: %v", frame, err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", frame, n)
		}
	}
}
