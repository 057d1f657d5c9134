package wire

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

type fields map[string]any

// FuzzEventsComeBackAsTheyWereWritten reads each event with encoding/json.
func FuzzEventsComeBackAsTheyWereWritten(f *testing.F) {
	f.Add("ann", "lobby", "m1", `"hi"`, uint64(3), int64(5), true)
	f.Add("\x00\"\\\n\xff", "é\u2028", "</script>", `{"a":[1,2]}`, uint64(0), int64(0), false)
	f.Add("", "", "", ``, uint64(1<<63), int64(-1), false)
	f.Fuzz(func(t *testing.T, user, room, text, raw string, offset uint64, number int64, flag bool) {
		content := json.RawMessage(strings.TrimSpace(raw))
		if CheckJSON(content) != "" {
			content = nil
		}
		body := content
		if body == nil {
			body = json.RawMessage("null")
		}
		same(t, AppendWelcome(nil, &Welcome{UserID: user, ConnectionID: text, PingIntervalMS: number, ExpiresAt: number, Version: room}),
			fields{"event": "welcome", "user_id": user, "connection_id": text, "ping_interval_ms": number, "version": room},
			fields{"expires_at": number})
		same(t, AppendDelivery(nil, &Delivery{From: user, Info: content, Content: body, Room: room, MessageID: text, Offset: offset, Direct: flag}),
			fields{"event": "chat", "from": user, "content": body, "message_id": text},
			fields{"info": content, "room": room, "offset": offset, "direct": flag})
		same(t, AppendAck(nil, &Acknowledgement{ID: content, MessageID: text, Offset: offset, Epoch: room}),
			fields{"event": "ack", "message_id": text},
			fields{"id": content, "offset": offset, "epoch": room})
		same(t, AppendLeft(nil, content, user, text),
			fields{"event": "left", "room": user},
			fields{"id": content, "reason": text})
		gap := fields{"event": "gap", "reason": text}
		if room != "" {
			gap["epoch"], gap["offset"] = room, offset
		}
		same(t, AppendGap(nil, &Gap{Room: user, Reason: text, Epoch: room, Offset: offset}), gap, fields{"room": user})
		same(t, AppendError(nil, &Refusal{ID: content, Code: Code(room), Reason: user, Filter: text, RetryAfterMS: number}),
			fields{"event": "error", "code": room, "reason": user},
			fields{"id": content, "filter": text, "retry_after_ms": number})
		same(t, AppendPong(nil, content), fields{"event": "pong"}, fields{"id": content})

		var messages []byte
		for range 2 {
			messages = AppendHistoryMessage(messages, &HistoryMessage{From: user, Info: content, Content: body, MessageID: text, Offset: offset, Time: number})
		}
		message := fields{"from": user, "content": body, "message_id": text, "offset": offset, "time": number}
		if content != nil {
			message["info"] = content
		}
		joined := fields{"event": "joined", "room": user, "announced": flag, "recovered": flag}
		history := fields{"event": "history", "room": user, "messages": []fields{message, message}, "more": flag, "gapless": flag}
		if room != "" {
			joined["epoch"], joined["offset"] = room, offset
			history["epoch"], history["offset"] = room, offset
		}
		if flag {
			joined["messages"] = []fields{message, message}
		}
		same(t, AppendJoined(nil, &RoomJoined{ID: content, Room: user, Epoch: room, Offset: offset, Announced: flag, Asked: true, Recovered: flag, Messages: messages}),
			joined, fields{"id": content})
		same(t, AppendHistory(nil, &HistoryPage{ID: content, Room: user, Epoch: room, Offset: offset, Messages: messages, More: flag, Cursor: text, Since: true, Gapless: flag}),
			history, fields{"id": content, "cursor": text})

		event := fields{"event": text, "user_id": user}
		if room != "" {
			event["room"] = room
			same(t, AppendUserEvent(nil, text, user, content, room), event, fields{"info": content})
		} else {
			same(t, AppendUserEvent(nil, text, user, content, room), event, nil)
		}

		same(t, AppendPresence(nil, &PresencePage{ID: content, Room: user, Total: int(number), Cursor: text,
			Users: []Occupant{{UserID: text, Info: body, Connections: 1}, {UserID: user, Connections: 2}}}),
			fields{"event": "presence", "room": user, "total": number, "users": []fields{
				{"user_id": text, "info": body, "connections": 1}, {"user_id": user, "connections": 2}}},
			fields{"id": content, "cursor": text})
	})
}

// same fails the test unless the event is UTF-8 and has the fields required,
// those of optional that are not zero, and no other.
func same(t *testing.T, event []byte, required, optional fields) {
	t.Helper()
	for name, v := range optional {
		if reflect.ValueOf(v).IsZero() {
			delete(optional, name)
		}
	}
	maps.Copy(required, optional)
	encoded, err := json.Marshal(required)
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := json.Unmarshal(event, &got); err != nil || !utf8.Valid(event) {
		t.Fatalf("%q: %v", event, err)
	}
	if err := json.Unmarshal(encoded, &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("\n got %s\nwant %s", event, encoded)
	}
}
