package wire

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"
)

// FuzzDecode holds the decoder against an independent reading of the protocol
// by encoding/json: both accept the same frames, and read the same from them.
func FuzzDecode(f *testing.F) {
	for _, frame := range commandSeeds {
		f.Add([]byte(frame))
	}
	for text := range invalidJSON {
		f.Add([]byte(`{"type":"chat","id":1,"content":` + text + `}`))
	}
	var d Decoder
	f.Fuzz(func(t *testing.T, frame []byte) {
		before := bytes.Clone(frame)
		var got Command
		err := d.Decode(frame, &got)
		if !bytes.Equal(frame, before) {
			t.Fatalf("the frame became %q", frame)
		}
		if cap(d.scratch) > maxScratch {
			t.Fatalf("the decoder keeps %d bytes", cap(d.scratch))
		}
		want, refused, id := reference(frame)
		switch {
		case err == nil && refused != "":
			t.Fatalf("accepted as %+v, but %s", got, refused)
		case err != nil && refused == "":
			t.Fatalf("refused (%v), but it is %+v", err, want)
		case err != nil:
			if err.Code != BadRequest || err.Reason == "" || !utf8.ValidString(err.Error()) || len(err.Error()) > 512 {
				t.Fatalf("a poor error: %s %q", err.Code, err.Error())
			}
			if id != nil && !bytes.Equal(err.ID, id) {
				t.Fatalf("the error (%v) has id %q, the frame %q", err, err.ID, id)
			}
		case !reflect.DeepEqual(got, want):
			t.Fatalf("\n got %+v\nwant %+v", got, want)
		}
	})
}

var commandSeeds = []string{
	`{"type":"join_room","room":"lobby","id":1,"recover":{"epoch":"x7","offset":12}}`,
	`{"type":"leave_room","room":"caf\u00e9 \ud83d\ude00"}`,
	`{"type":"room_message","room":"лобби","content":{"text":"hi","n":[1.5e-3,true,null]},"key":"k"}`,
	`{"type":"chat","content":"x\n","room":null,"id":"\u0061"}`,
	`{"t\u0079pe":"direct_message","target_user":"bob","content":-0}`,
	`{"type":"presence","room":"r","limit":100,"cursor":"c"}`,
	`{"type":"history","room":"r","limit":1e1,"since":{"offset":18446744073709551616,"epoch":""}}`,
	`{"type":"refresh","token":"a.b.c","token":1}`,
	` {"type" : "ping", "id" : 1e400 , "x" : [ { } , "\ud800" ] } `,
	`{"type":"pong","id":"","id":null}`,
	`{"type":"join_room","room":"\ud800"}`,
	`{"type":"join_room","room":"\\\ud83d\\ude00"}`,
	`{"type":"Chat","content":[[[[]]]]}`,
	`[1]`, `{}`, `{"id":7}`,
}

func FuzzCheckJSON(f *testing.F) {
	for _, text := range validJSON {
		f.Add([]byte(text))
	}
	for text := range invalidJSON {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := CheckJSON(text)
		want := json.Valid(text) && utf8.Valid(text) && depthOf(text) <= MaxDepth
		if (got == "") != want {
			t.Fatalf("%q: got %q, want valid: %v", text, got, want)
		}
	})
}

// FuzzAnythingAClientMayWriteIsAccepted writes commands with encoding/json.
func FuzzAnythingAClientMayWriteIsAccepted(f *testing.F) {
	f.Add("lobby", "ann", "hello", "key", "id", uint64(7), 100, true)
	f.Add("é\u2028<&>", "\"\\", "\x00\n\u00ff", "\t", "😀", uint64(1<<63), 1, false)
	var d Decoder
	f.Fuzz(func(t *testing.T, room, user, content, key, id string, offset uint64, limit int, indent bool) {
		valid := func(s string, limit int) bool { return s != "" && len(s) <= limit && utf8.ValidString(s) }
		if CheckName([]byte(room)) != "" || CheckName([]byte(user)) != "" || !valid(key, MaxKey) || !valid(id, MaxID) ||
			!utf8.ValidString(content) || limit < 1 || limit > MaxLimit {
			t.Skip()
		}
		position := map[string]any{"epoch": id, "offset": offset}
		for _, fields := range []map[string]any{
			{"type": "join_room", "room": room, "recover": position},
			{"type": "leave_room", "room": room, content + "?": key},
			{"type": "room_message", "room": room, "content": content, "key": key},
			{"type": "chat", "content": map[string]any{content: []any{content}}},
			{"type": "direct_message", "target_user": user, "content": limit, "key": key},
			{"type": "presence", "room": room, "limit": limit, "cursor": key},
			{"type": "history", "room": room, "limit": limit, "since": position, "cursor": key},
			{"type": "refresh", "token": key},
		} {
			fields["id"] = id
			frame, err := json.Marshal(fields)
			if err == nil && indent {
				frame, err = json.MarshalIndent(fields, "", "\t")
			}
			if err != nil {
				t.Fatal(err)
			}
			var c Command
			if err := d.Decode(frame, &c); err != nil {
				t.Fatalf("%s: %v", frame, err)
			}
			for name, read := range map[string][]byte{"room": c.Room, "target_user": c.TargetUser, "key": c.Key, "token": c.Token, "cursor": c.Cursor} {
				if want, _ := fields[name].(string); string(read) != want {
					t.Fatalf("%s: %s is %q, want %q", frame, name, read, want)
				}
			}
		}
	})
}
