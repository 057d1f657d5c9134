package wire

import (
	"reflect"
	"strings"
	"testing"
)

// decode is a frame's command or error by a decoder of its own.
func decode(frame string) (Command, *Error) {
	var d Decoder
	var c Command
	err := d.Decode([]byte(frame), &c)
	return c, err
}

func TestEachCommandIsReadWithItsFields(t *testing.T) {
	for name, test := range map[string]struct {
		frame string
		want  Command
	}{
		"join": {
			`{"type":"join_room","room":"lobby"}`,
			Command{Type: JoinRoom, Room: []byte("lobby")},
		},
		"join and recover": {
			`{"type":"join_room","room":"lobby","recover":{"epoch":"x7","offset":18446744073709551615},"id":1}`,
			Command{Type: JoinRoom, ID: []byte("1"), Room: []byte("lobby"), HasRecover: true,
				Recover: Position{Epoch: []byte("x7"), Offset: 1<<64 - 1}},
		},
		"leave": {
			`{"type":"leave_room","room":"lobby","id":"a"}`,
			Command{Type: LeaveRoom, ID: []byte(`"a"`), Room: []byte("lobby")},
		},
		"room message": {
			`{"type":"room_message","room":"lobby","content":{"text":"hi"},"key":"k1"}`,
			Command{Type: RoomMessage, Room: []byte("lobby"), Content: []byte(`{"text":"hi"}`), Key: []byte("k1")},
		},
		"chat to everyone": {
			`{"type":"chat","content":"hi"}`,
			Command{Type: Chat, Content: []byte(`"hi"`)},
		},
		"chat to a room": {
			`{"type":"chat","content":"hi","room":"lobby"}`,
			Command{Type: Chat, Room: []byte("lobby"), Content: []byte(`"hi"`)},
		},
		"direct message": {
			`{"type":"direct_message","target_user":"ann","content":[1,2]}`,
			Command{Type: DirectMessage, TargetUser: []byte("ann"), Content: []byte(`[1,2]`)},
		},
		"presence": {
			`{"type":"presence","room":"lobby","limit":10,"cursor":"c2"}`,
			Command{Type: Presence, Room: []byte("lobby"), Limit: 10, Cursor: []byte("c2")},
		},
		"history": {
			`{"type":"history","room":"lobby","limit":1000,"since":{"offset":0,"epoch":"x7","more":[]}}`,
			Command{Type: History, Room: []byte("lobby"), Limit: 1000, HasSince: true, Since: Position{Epoch: []byte("x7")}},
		},
		"older history": {
			`{"type":"history","room":"lobby","cursor":"17.x7"}`,
			Command{Type: History, Room: []byte("lobby"), Cursor: []byte("17.x7")},
		},
		"refresh": {
			`{"type":"refresh","token":"e30.e30.c2ln"}`,
			Command{Type: Refresh, Token: []byte("e30.e30.c2ln")},
		},
		"ping": {`{"type":"ping","id":-1.5e+3}`, Command{Type: Ping, ID: []byte("-1.5e+3")}},
		"pong": {`{"type":"pong"}`, Command{Type: Pong}},
	} {
		got, err := decode(test.frame)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, test.want)
		}
	}
}

func TestWhatClientsOfTheTutorialSendIsAccepted(t *testing.T) {
	// As FastAPI's models, Python's json.dumps and a browser's JSON.stringify write them.
	for _, frame := range []string{
		`{"type": "chat", "content": "hello"}`,
		`{"type": "chat", "room": null, "content": "hello", "target_user": null}`,
		`{"type":"join_room","room":"general"}`,
		`{"type": "join_room", "room": "general", "content": null, "target_user": null}`,
		`{"type": "leave_room", "room": "general"}`,
		`{"type": "room_message", "room": "general", "content": "h\u00e9llo \ud83d\ude00"}`,
		`{"type": "room_message", "room": "general", "content": null}`,
		`{"type": "direct_message", "target_user": "bob", "content": "psst", "room": null}`,
		`{"type":"pong"}`,
		"{\n  \"type\": \"pong\",\n  \"timestamp\": 1700000000.25\n}\n",
	} {
		if _, err := decode(frame); err != nil {
			t.Errorf("%s: %v", frame, err)
		}
	}
}

func TestFieldsThatACommandDoesNotHaveAreIgnored(t *testing.T) {
	for _, frame := range []string{
		`{"type":"ping","room":5,"limit":"x","recover":[],"whatever":{"type":"chat"},"room2":null}`,
		`{"type":"chat","content":1,"target_user":"","token":false}`,
		`{"epoch":1,"epoch":2,"a":1,"a":2,"type":"ping"}`,
	} {
		if _, err := decode(frame); err != nil {
			t.Errorf("%s: %v", frame, err)
		}
	}
}

func TestNullIsAsGoodAsAbsentExceptForContent(t *testing.T) {
	c, err := decode(`{"type":"chat","content":null,"room":null,"id":null,"key":null}`)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Command{Type: Chat, Content: []byte("null")}); !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
	c, err = decode(`{"type":"join_room","room":"r","recover":null}`)
	if err != nil || c.HasRecover {
		t.Errorf("recover: null: %+v, %v", c, err)
	}
	if _, err = decode(`{"type":"join_room","room":null}`); err == nil || err.Field != "room" {
		t.Errorf("a required room of null: %v", err)
	}
	if _, err = decode(`{"type":null}`); err == nil || err.Field != "type" {
		t.Errorf("type: null: %v", err)
	}
}

func TestEscapedNamesAndTextsAreReadAsWhatTheySpell(t *testing.T) {
	c, err := decode(`{"t\u0079pe":"\u0072oom_message","r\u006Fom":"caf\u00e9\/\ud83d\ude00","\u0063ontent":"\u0061\n","k\u0065y":"\"\\\b\f\n\r\t"}`)
	if err != nil {
		t.Fatal(err)
	}
	want := Command{Type: RoomMessage, Room: []byte("café/😀"), Content: []byte(`"\u0061\n"`), Key: []byte("\"\\\b\f\n\r\t")}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
	_, err = decode(`{"type":"ping","t\u0079pe":"pong"}`)
	if err == nil || err.Field != "type" || err.Reason != "is there more than once" {
		t.Errorf("an escaped name beside the plain one: %v", err)
	}
}

func TestContentPassesByteForByte(t *testing.T) {
	for _, content := range []string{
		`"plain"`, `"\u0041\/\ud800 half a pair is grammar"`, `1.0e+007`, `-0`, `true`, `null`, `[]`, `{}`,
		"{ \"a\" :\t[ 1 ,\n2 ] , \"a\" : {\"type\":\"x\"} }", `"</script>&\u2028` + "\u2028" + `"`, `"` + strings.Repeat("é€😀 x", 99) + `"`,
	} {
		c, err := decode(`{"type":"chat","content": ` + content + ` }`)
		if err != nil {
			t.Errorf("%s: %v", content, err)
		} else if string(c.Content) != content {
			t.Errorf("got %s, want %s", c.Content, content)
		}
	}
}

func TestMalformedFramesAreRefusedNamingTheField(t *testing.T) {
	long := strings.Repeat("x", 1100)
	for _, test := range []struct{ frame, field, reason string }{
		{``, "", "the frame is empty; a JSON object was expected"},
		{" \n", "", "the frame is empty; a JSON object was expected"},
		{`hello`, "", "a frame must be one JSON object"},
		{`[{"type":"ping"}]`, "", "a frame must be one JSON object"},
		{`{"type":"ping"} {"type":"ping"}`, "", "not valid JSON at byte 16: something follows the value"},
		{`{"type":"ping"`, "", "not valid JSON at byte 14: it ends too early"},
		{`{"type":"ping",}`, "", "not valid JSON at byte 15: a field name in quotes was expected"},
		{`{'type':'ping'}`, "", "not valid JSON at byte 1: a field name in quotes was expected"},
		{`{"type":ping}`, "", "not valid JSON at byte 8: a value was expected"},

		{`{}`, "type", "is missing; " + allTypes()},
		{`{"type":7}`, "type", "must be a string, not a number"},
		{`{"type":""}`, "type", "is unknown; " + allTypes()},
		{`{"type":"\ud800"}`, "type", "is unknown; " + allTypes()},
		{`{"type":"` + long + `"}`, "type", "is unknown; " + allTypes()},
		{`{"type":"subscribe"}`, "type", `is unknown: "subscribe"; ` + allTypes()},
		{`{"type":"joinRoom"}`, "type", `is unknown: "joinRoom"; did you mean "join_room"?`},
		{`{"type":"room_mesage"}`, "type", `is unknown: "room_mesage"; did you mean "room_message"?`},
		{`{"type":"char"}`, "type", `is unknown: "char"; did you mean "chat"?`},

		{`{"type":"join_room"}`, "room", "is missing: join_room needs room"},
		{`{"type":"leave_room"}`, "room", "is missing: leave_room needs room"},
		{`{"type":"room_message"}`, "room", "is missing: room_message needs room and content"},
		{`{"type":"room_message","room":"r"}`, "content", "is missing: room_message needs room and content"},
		{`{"type":"chat"}`, "content", "is missing: chat needs content"},
		{`{"type":"direct_message","content":1}`, "target_user", "is missing: direct_message needs content and target_user"},
		{`{"type":"presence"}`, "room", "is missing: presence needs room"},
		{`{"type":"history"}`, "room", "is missing: history needs room"},
		{`{"type":"refresh"}`, "token", "is missing: refresh needs token"},

		{`{"type":"join_room","room":{}}`, "room", "must be a string, not an object"},
		{`{"type":"join_room","room":""}`, "room", "must not be empty"},
		{`{"type":"join_room","room":"` + long + `"}`, "room", "is longer than 255 bytes"},
		{`{"type":"join_room","room":"` + strings.Repeat(`\u00e9`, 128) + `"}`, "room", "is longer than 255 bytes"},
		{`{"type":"join_room","room":"a\u0000"}`, "room", "contains the control character U+0000"},
		{`{"type":"join_room","room":"\ud83dx"}`, "room", "contains half of a surrogate pair, which is no character"},
		{`{"type":"join_room","room":"\ude00\ud83d"}`, "room", "contains half of a surrogate pair, which is no character"},
		{`{"type":"join_room","room":"\ud83d\ndc00"}`, "room", "contains half of a surrogate pair, which is no character"},
		{`{"type":"direct_message","target_user":true,"content":1}`, "target_user", "must be a string, not a boolean"},
		{`{"type":"direct_message","target_user":"\u0085","content":1}`, "target_user", "contains the control character U+0085"},
		{`{"type":"chat","content":1,"room":""}`, "room", "must not be empty"},
		{`{"type":"chat","content":1,"key":""}`, "key", "must not be empty"},
		{`{"type":"chat","content":1,"key":1}`, "key", "must be a string, not a number"},
		{`{"type":"chat","content":1,"key":"` + long[:129] + `"}`, "key", "is longer than 128 bytes"},
		{`{"type":"refresh","token":[]}`, "token", "must be a string, not an array"},
		{`{"type":"refresh","token":""}`, "token", "must not be empty"},

		{`{"type":"ping","id":{}}`, "id", "must be a string or a number, not an object"},
		{`{"type":"ping","id":true}`, "id", "must be a string or a number, not a boolean"},
		{`{"type":"ping","id":"` + long[:65] + `"}`, "id", "is longer than 64 bytes"},
		{`{"type":"ping","id":1` + strings.Repeat("0", 64) + `}`, "id", "is a number of more than 64 characters"},
		{`{"type":"ping","id":"\udfff"}`, "id", "contains half of a surrogate pair, which is no character"},
		{`{"type":"ping","id":1,"id":2}`, "id", "is there more than once"},
		{`{"content":1,"type":"ping","content":2}`, "content", "is there more than once"},
		{`{"type":"ping","room":null,"room":null}`, "room", "is there more than once"},

		{`{"type":"presence","room":"r","limit":"5"}`, "limit", "must be a number, not a string"},
		{`{"type":"presence","room":"r","limit":0}`, "limit", "must be an integer from 1 to 1000, written in digits alone"},
		{`{"type":"presence","room":"r","limit":-1}`, "limit", "must be an integer from 1 to 1000, written in digits alone"},
		{`{"type":"presence","room":"r","limit":1.0}`, "limit", "must be an integer from 1 to 1000, written in digits alone"},
		{`{"type":"presence","room":"r","limit":1e2}`, "limit", "must be an integer from 1 to 1000, written in digits alone"},
		{`{"type":"presence","room":"r","limit":1001}`, "limit", "must be an integer from 1 to 1000, written in digits alone"},
		{`{"type":"presence","room":"r","limit":18446744073709551617}`, "limit", "must be an integer from 1 to 1000, written in digits alone"},
		{`{"type":"presence","room":"r","cursor":"` + long + `"}`, "cursor", "is longer than 1024 bytes"},

		{`{"type":"join_room","room":"r","recover":true}`, "recover", "must be an object with epoch and offset, not a boolean"},
		{`{"type":"join_room","room":"r","recover":{}}`, "recover.epoch", "is missing"},
		{`{"type":"join_room","room":"r","recover":{"epoch":"e"}}`, "recover.offset", "is missing"},
		{`{"type":"join_room","room":"r","recover":{"epoch":"e","offset":null}}`, "recover.offset", "is missing"},
		{`{"type":"join_room","room":"r","recover":{"epoch":1,"offset":1}}`, "recover.epoch", "must be a string, not a number"},
		{`{"type":"join_room","room":"r","recover":{"epoch":"` + long[:65] + `","offset":1}}`, "recover.epoch", "is longer than 64 bytes"},
		{`{"type":"join_room","room":"r","recover":{"epoch":"e","offset":"1"}}`, "recover.offset", "must be a number, not a string"},
		{`{"type":"join_room","room":"r","recover":{"epoch":"e","offset":-1}}`, "recover.offset", "must be an integer from 0 to 2^64-1, written in digits alone"},
		{`{"type":"join_room","room":"r","recover":{"epoch":"e","offset":18446744073709551616}}`, "recover.offset", "must be an integer from 0 to 2^64-1, written in digits alone"},
		{`{"type":"history","room":"r","since":{"epoch":"e","offset":1,"offset":1}}`, "since.offset", "is there more than once"},
	} {
		_, err := decode(test.frame)
		if err == nil {
			t.Errorf("%.80s was accepted", test.frame)
			continue
		}
		if err.Code != BadRequest || err.Field != test.field || err.Reason != test.reason {
			t.Errorf("%.80s\n got %s, %q: %s\nwant %s, %q: %s", test.frame, err.Code, err.Field, err.Reason, BadRequest, test.field, test.reason)
		}
	}
}

func TestAnErrorReadsAsFieldAndReason(t *testing.T) {
	_, err := decode(`{"type":"join_room","room":""}`)
	if got, want := err.Error(), "room: must not be empty"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	_, err = decode(`[]`)
	if got, want := err.Error(), "a frame must be one JSON object"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTextsOfTheGreatestLengthAreAccepted(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	u := func(n int) string { return strings.Repeat(`\u0078`, n) }
	for _, repeat := range []func(int) string{x, u} {
		for _, frame := range []string{
			`{"type":"ping","id":"` + repeat(64) + `"}`,
			`{"type":"direct_message","content":0,"target_user":"` + repeat(255) + `","key":"` + repeat(128) + `"}`,
			`{"type":"presence","room":"` + repeat(255) + `","limit":1000,"cursor":"` + repeat(1024) + `"}`,
			`{"type":"join_room","room":"` + repeat(255) + `","recover":{"epoch":"` + repeat(64) + `","offset":1}}`,
			`{"type":"refresh","token":"` + repeat(20000) + `"}`,
		} {
			c, err := decode(frame)
			if err != nil {
				t.Errorf("%.60s: %v", frame, err)
			}
			for _, text := range [][]byte{c.Room, c.TargetUser, c.Key, c.Cursor, c.Token, c.Recover.Epoch} {
				if string(text) != x(len(text)) {
					t.Errorf("%.60s: a text became %.20q", frame, text)
				}
			}
		}
	}
}

func TestAnErrorCarriesTheIDOfItsFrame(t *testing.T) {
	for _, test := range []struct{ what, frame, id string }{
		{"a faulty field before it", `{"type":"join_room","room":5,"id":"a"}`, `"a"`},
		{"a faulty field behind it", `{"id":17,"type":"join_room","room":5}`, `17`},
		{"an unknown type", `{"type":"x","id":"\u0061"}`, `"\u0061"`},
		{"no type", `{"id":1}`, `1`},
		{"a duplicate field", `{"room":1,"room":2,"id":1}`, `1`},
		{"broken JSON behind it", `{"id":"a","type":"chat","content":`, `"a"`},
		{"trailing garbage", `{"id":"a","type":"ping"}}`, `"a"`},
		{"a raw line break in the content", "{\"type\":\"chat\",\"content\":\"a\nb\",\"id\":7}", `7`},
		{"no UTF-8 in the content", "{\"type\":\"chat\",\"content\":\"\xff\", \"id\" : \"a\" }", `"a"`},
		{"a bad escape in the content", `{"content":"\x41 \"id\":9","id":[],"id":7}`, ``},
		{"nesting that is too deep", `{"content":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `,"id":7}`, `7`},
		{"nesting that is too deep, an inner id", `{"content":` + strings.Repeat("[", 64) + `{"id":1}` + strings.Repeat("]", 64) + `}`, ``},
		{"a missing quote", `{"type":"chat,"content":"x","id":7}`, ``},
		{"a bracket too many", `{"content":[1]],"id":7}`, ``},
		{"two ids", `{"id":1,"type":"ping","id":2}`, ``},
		{"two ids before the fault", `{"id":1,"id":2,"x":`, ``},
		{"brackets that do not close", `{"content":01,"id":7,`, ``},
		{"two ids behind the fault", `{"content":01,"id":1,"id":2}`, ``},
		{"an id that is none", `{"id":[1],"type":"ping"}`, ``},
		{"an id that is none behind the fault", `{"content":01,"id":1x}`, ``},
		{"no object", `[{"id":1}]`, ``},
	} {
		_, err := decode(test.frame)
		if err == nil {
			t.Errorf("%s: was accepted", test.what)
		} else if string(err.ID) != test.id || (err.ID == nil) != (test.id == "") {
			t.Errorf("%s: got id %q, want %q (%v)", test.what, err.ID, test.id, err)
		}
	}
}

func TestADecoderIsUsedForManyFrames(t *testing.T) {
	var d Decoder
	var c Command
	if err := d.Decode([]byte(`{"type":"join_room","room":"\u0061","id":1,"recover":{"epoch":"e","offset":3}}`), &c); err != nil {
		t.Fatal(err)
	}
	if err := d.Decode([]byte(`{"type":"nope","id":2}`), &c); err == nil || string(err.ID) != "2" {
		t.Fatalf("got %v", err)
	}
	if err := d.Decode([]byte(`{"type":"ping"}`), &c); err != nil || !reflect.DeepEqual(c, Command{Type: Ping}) {
		t.Fatalf("an earlier frame shows through: %+v, %v", c, err)
	}
}

func TestADecoderKeepsLittleMemoryHoweverLongTheTexts(t *testing.T) {
	var d Decoder
	var c Command
	token := strings.Repeat(`\u0078`, 10000)
	for range 3 {
		if err := d.Decode([]byte(`{"type":"refresh","token":"`+token+`"}`), &c); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.Token) != 10000 {
		t.Errorf("the token has %d bytes", len(c.Token))
	}
	if cap(d.scratch) > maxScratch {
		t.Errorf("the decoder keeps %d bytes", cap(d.scratch))
	}
}

func TestTheCommandCannotGrowIntoTheFrame(t *testing.T) {
	frame := []byte(`{"id":12,"room":"ab","content":[1],"key":"k","type":"room_message","x":"spare room"}`)
	before := string(frame)
	var d Decoder
	var c Command
	if err := d.Decode(frame, &c); err != nil {
		t.Fatal(err)
	}
	for _, s := range [][]byte{c.ID, c.Room, c.Content, c.Key} {
		_ = append(s, "overwritten"...)
	}
	if string(frame) != before {
		t.Errorf("the frame became %s", frame)
	}
}
