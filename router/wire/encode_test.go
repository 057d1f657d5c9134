package wire

import (
	"encoding/json"
	"testing"
)

func TestEachEventHasExactlyItsFieldsInOrder(t *testing.T) {
	for _, test := range []struct {
		got  []byte
		want string
	}{
		{
			AppendWelcome(nil, &Welcome{UserID: "ann", ConnectionID: "c1", PingIntervalMS: 25000, Version: "0.1.0"}),
			`{"event":"welcome","user_id":"ann","connection_id":"c1","ping_interval_ms":25000,"version":"0.1.0"}`,
		},
		{
			AppendWelcome(nil, &Welcome{UserID: "ann", ConnectionID: "c1", PingIntervalMS: 25000, ExpiresAt: 1700000000, Version: "0.1.0"}),
			`{"event":"welcome","user_id":"ann","connection_id":"c1","ping_interval_ms":25000,"expires_at":1700000000,"version":"0.1.0"}`,
		},
		{AppendRefreshed(nil, &Refreshed{}), `{"event":"refreshed"}`},
		{AppendRefreshed(nil, &Refreshed{ID: []byte(`1`), ExpiresAt: 1700000000}), `{"event":"refreshed","id":1,"expires_at":1700000000}`},
		{
			AppendDelivery(nil, &Delivery{From: "ann", Content: []byte(`{"a": 1}`), MessageID: "m1"}),
			`{"event":"chat","from":"ann","message_id":"m1","content":{"a": 1}}`,
		},
		{
			AppendDelivery(nil, &Delivery{From: "ann", Info: []byte(`{"name":"Ann"}`), Content: []byte(`"hi"`), Room: "r", MessageID: "m1", Offset: 7}),
			`{"event":"chat","from":"ann","info":{"name":"Ann"},"room":"r","message_id":"m1","content":"hi","offset":7}`,
		},
		{
			AppendDelivery(nil, &Delivery{From: "ann", Content: []byte(`null`), MessageID: "m1", Direct: true}),
			`{"event":"chat","from":"ann","direct":true,"message_id":"m1","content":null}`,
		},
		{
			AppendUserEvent(nil, "user_connected", "ann", []byte(`{}`), ""),
			`{"event":"user_connected","user_id":"ann"}`,
		},
		{
			AppendUserEvent(nil, "user_disconnected", "ann", nil, ""),
			`{"event":"user_disconnected","user_id":"ann"}`,
		},
		{
			AppendUserEvent(nil, "user_joined", "ann", []byte(`{"name":"Ann"}`), "r"),
			`{"event":"user_joined","user_id":"ann","info":{"name":"Ann"},"room":"r"}`,
		},
		{
			AppendUserEvent(nil, "user_left", "ann", nil, "r"),
			`{"event":"user_left","user_id":"ann","room":"r"}`,
		},
		{
			AppendAck(nil, &Acknowledgement{ID: []byte(`"a\u0062"`), MessageID: "m1"}),
			`{"event":"ack","id":"a\u0062","message_id":"m1"}`,
		},
		{
			AppendAck(nil, &Acknowledgement{ID: []byte(`7`), MessageID: "m1", Offset: 18446744073709551615, Epoch: "e"}),
			`{"event":"ack","id":7,"message_id":"m1","offset":18446744073709551615,"epoch":"e"}`,
		},
		{
			AppendJoined(nil, &RoomJoined{Room: "r", Offset: 5}),
			`{"event":"joined","room":"r","announced":false}`,
		},
		{
			AppendJoined(nil, &RoomJoined{ID: []byte(`1`), Room: "r", Epoch: "e", Announced: true}),
			`{"event":"joined","id":1,"room":"r","epoch":"e","offset":0,"announced":true}`,
		},
		{
			AppendJoined(nil, &RoomJoined{Room: "r", Epoch: "e", Offset: 4, Asked: true, Recovered: true}),
			`{"event":"joined","room":"r","epoch":"e","offset":4,"announced":false,"recovered":true,"messages":[]}`,
		},
		{
			AppendJoined(nil, &RoomJoined{Room: "r", Epoch: "e", Offset: 4, Asked: true, Messages: kept(1)}),
			`{"event":"joined","room":"r","epoch":"e","offset":4,"announced":false,"recovered":false}`,
		},
		{
			AppendJoined(nil, &RoomJoined{Room: "r", Epoch: "e", Offset: 4, Asked: true, Recovered: true, Messages: kept(2)}),
			`{"event":"joined","room":"r","epoch":"e","offset":4,"announced":false,"recovered":true,"messages":[` +
				`{"from":"ann","info":{"name":"Ann"},"message_id":"m1","content":"hi","offset":3,"time":1700000000123},` +
				`{"from":"bob","message_id":"m2","content":null,"offset":4,"time":0}]}`,
		},
		{
			AppendHistory(nil, &HistoryPage{Room: "r", Offset: 3, Gapless: true}),
			`{"event":"history","room":"r","messages":[],"more":false}`,
		},
		{
			AppendHistory(nil, &HistoryPage{ID: []byte(`1`), Room: "r", Epoch: "e", Offset: 4, Messages: kept(1), More: true, Cursor: "3.e"}),
			`{"event":"history","id":1,"room":"r","epoch":"e","offset":4,"messages":[` +
				`{"from":"ann","info":{"name":"Ann"},"message_id":"m1","content":"hi","offset":3,"time":1700000000123}],"more":true,"cursor":"3.e"}`,
		},
		{
			AppendHistory(nil, &HistoryPage{Room: "r", Epoch: "e", Since: true}),
			`{"event":"history","room":"r","epoch":"e","offset":0,"messages":[],"more":false,"gapless":false}`,
		},
		{AppendLeft(nil, nil, "r", ""), `{"event":"left","room":"r"}`},
		{AppendLeft(nil, []byte(`1`), "r", "removed"), `{"event":"left","id":1,"room":"r","reason":"removed"}`},
		{
			AppendPresence(nil, &PresencePage{Room: "r"}),
			`{"event":"presence","room":"r","total":0,"users":[]}`,
		},
		{
			AppendPresence(nil, &PresencePage{ID: []byte(`1`), Room: "r", Total: 3, Cursor: "c", Users: []Occupant{
				{UserID: "ann", Info: []byte(`{"name":"Ann"}`), Connections: 2}, {UserID: "bob", Connections: 1}}}),
			`{"event":"presence","id":1,"room":"r","total":3,"users":[` +
				`{"user_id":"ann","info":{"name":"Ann"},"connections":2},{"user_id":"bob","connections":1}],"cursor":"c"}`,
		},
		{AppendGap(nil, &Gap{Reason: GapPossible, Offset: 1}), `{"event":"gap","reason":"possible_gap"}`},
		{AppendGap(nil, &Gap{Room: "r", Reason: GapLost, Epoch: "e", Offset: 9}), `{"event":"gap","room":"r","reason":"lost","epoch":"e","offset":9}`},
		{
			AppendError(nil, &Refusal{Code: BadRequest, Reason: "room: must not be empty"}),
			`{"event":"error","code":"bad_request","reason":"room: must not be empty"}`,
		},
		{
			AppendError(nil, &Refusal{ID: []byte(`"a"`), Code: RateLimited, Reason: "slow down", Filter: "rate", RetryAfterMS: 250}),
			`{"event":"error","id":"a","code":"rate_limited","reason":"slow down","filter":"rate","retry_after_ms":250}`,
		},
		{AppendPing(nil), `{"event":"ping"}`},
		{AppendPong(nil, nil), `{"event":"pong"}`},
		{AppendPong(nil, []byte(`1`)), `{"event":"pong","id":1}`},
	} {
		if string(test.got) != test.want {
			t.Errorf("\n got %s\nwant %s", test.got, test.want)
		}
		if !json.Valid(test.got) {
			t.Errorf("not JSON: %s", test.got)
		}
	}
}

// kept are the first n of two messages of a history.
func kept(n int) (messages []byte) {
	for _, m := range []HistoryMessage{
		{From: "ann", Info: []byte(`{"name":"Ann"}`), Content: []byte(`"hi"`), MessageID: "m1", Offset: 3, Time: 1700000000123},
		{From: "bob", Content: []byte(`null`), MessageID: "m2", Offset: 4},
	}[:n] {
		messages = AppendHistoryMessage(messages, &m)
	}
	return messages
}

func TestTextsAreEscapedAsFarAsJSONAsksForItAndNoFurther(t *testing.T) {
	for text, want := range map[string]string{
		"":                       `""`,
		"plain ~ text":           `"plain ~ text"`,
		`"\`:                     `"\"\\"`,
		"\n\r\t":                 `"\n\r\t"`,
		"\x00\b\f\x1f":           `"\u0000\u0008\u000c\u001f"`,
		"</script>&\u2028é😀\x7f": "\"</script>&\u2028é😀\x7f\"",
		"a\xffb\xc3":             "\"a\ufffdb\ufffd\"",
		"\xed\xa0\x80":           "\"\ufffd\ufffd\ufffd\"",
		"\ufffd":                 "\"\ufffd\"",
	} {
		if got := string(appendString(nil, text)); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestEventsAreAppendedToWhatIsThere(t *testing.T) {
	buffer := AppendPing([]byte("before "))
	if got, want := string(AppendPong(buffer, nil)), `before {"event":"ping"}{"event":"pong"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
