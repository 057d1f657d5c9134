package redisbroker

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"sluice/router"
	"sluice/router/wire"
)

var messages = []router.Message{
	{Kind: router.RoomMessage, ID: "m1", Room: "lobby", From: "ann", Conn: math.MaxUint64, Info: []byte(`{"name":"Ann"}`), Content: []byte("{\"a\" : [1e400, \"\\u0000\u2028\"],\n\t\"b\":0.10}"),
		Key: "a key: \x01 \xf0\x9f\x8c\x8a", Time: 1_800_000_000_000, Position: router.Position{Epoch: "e1", Offset: math.MaxUint64 / 100}},
	{Kind: router.RoomMessage, ID: "m2", Room: "{a}:b", Content: []byte("0")},
	{Kind: router.UserJoined, ID: "m3", Room: "lobby", From: "ann", Conn: 1},
	{Kind: router.UserLeft, ID: "m4", Room: "lobby", From: "ann"},
	{Kind: router.DirectMessage, ID: "m5", Target: "bob", From: "ann", Content: []byte(`""`)},
	{Kind: router.BroadcastMessage, ID: "m6", From: "ann", Content: []byte("null")},
	{Kind: router.UserConnected, ID: "m7", From: strings.Repeat("語", 85), Info: []byte("{}")},
	{Kind: router.UserDisconnected, ID: "m8", From: "ann"},
	{Kind: router.ControlMessage, Content: []byte("anything\x00")},
}

func payloadOf(m *router.Message) []byte { return appendMessage(appendHeader(nil, m.Position), m) }

func TestAMessageIsDecodedAsItWasEncoded(t *testing.T) {
	for _, m := range messages {
		topic, ok := topicOf(&m)
		if !ok {
			t.Fatalf("%+v has no topic", m)
		}
		got, err := decodeMessage(topic, payloadOf(&m))
		if err != nil {
			t.Errorf("%+v: %v", m, err)
		} else if !reflect.DeepEqual(&m, got) {
			t.Errorf("%+v became %+v", m, got)
		}
	}
}

// TestTheEnvelopeStaysAsItIs pins what nodes of two releases have in common.
func TestTheEnvelopeStaysAsItIs(t *testing.T) {
	m := router.Message{Kind: router.RoomMessage, ID: "id", Room: "lobby", From: "ann", Conn: 300, Time: 1000, Key: "k", Info: []byte("{}"), Content: []byte("1"),
		Position: router.Position{Epoch: "e9", Offset: 12}}
	const want = "65393a31323a" + "0101" + "01026964" + "0203616e6e" + "0302ac02" + "0402e807" + "05016b" + "06027b7d" + "070131"
	if got := hex.EncodeToString(payloadOf(&m)); got != want {
		t.Errorf("%s, in earlier releases %s", got, want)
	}
}

func TestFieldsOfALaterReleaseAreSkipped(t *testing.T) {
	m := messages[0]
	payload := append(payloadOf(&m), 8, 3, 'a', 'b', 'c', 0xff, 0x7f, 0)
	got, err := decodeMessage(router.Topic{Name: "lobby"}, payload)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&m, got) {
		t.Errorf("%+v became %+v", m, got)
	}
}

func TestMalformedPayloadsAreRefusedByReason(t *testing.T) {
	room, user, all := router.Topic{Name: "lobby"}, router.Topic{Name: "lobby", User: true}, router.Topic{}
	chat := "\x01\x01\x01\x02id\x02\x03ann"
	for _, c := range []struct {
		topic   router.Topic
		payload string
		want    *malformed
	}{
		{room, "", errHeader}, {room, ":1:" + chat, errHeader}, {room, "e:" + chat, errHeader}, {room, "e:0:" + chat, errHeader}, {room, "e::" + chat, errHeader},
		{room, "e:01:" + chat, errHeader}, {room, "e:1", errHeader}, {room, "e:-1:" + chat, errHeader}, {room, "e:99999999999999999999:" + chat, errHeader},
		{room, strings.Repeat("e", 33) + ":1:" + chat, errHeader}, {room, "e e:1:" + chat, errHeader}, {room, "{\"content\":1}", errHeader},
		{room, "-", errField}, {room, "-\x01", errField}, {room, "-\x02\x01" + chat[2:], errVersion}, {room, "-\x00\x01" + chat[2:], errVersion},
		{room, "-\x01\x63" + chat[2:], errKind}, {room, "-\x01\x09" + chat[2:], errKind}, {room, "-\x01\x00" + chat[2:], errKind},
		{user, "-" + chat, errTopic}, {all, "-" + chat, errTopic}, {room, "-\x01\x02" + chat[2:], errTopic}, {user, "-\x01\x02" + chat[2:], errTopic},
		{room, "-\x01\x03" + chat[2:], errTopic}, {room, "-\x01\x08" + chat[2:], errTopic}, {room, "e:1:\x01\x04" + chat[2:], errTopic},
		{room, "-" + chat[:len(chat)-1], errField}, {room, "-" + chat + "\x02\x03ann", errField}, {room, "-" + chat + "\x01\x02id", errField},
		{room, "-" + chat + "\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", errField}, {room, "-" + chat + "\x07", errField}, {room, "-" + chat + "\x00\x00", errField},
		{room, "-\x01\x01", errNoID}, {room, "-\x01\x01\x02\x03ann", errNoID},
		{room, "-\x01\x01\x01\x02i\n", errValue}, {room, "-\x01\x01\x01\x81\x01" + strings.Repeat("i", 129), errValue}, {room, "-\x01\x01\x01\x02id\x02\x03a\nb", errValue},
		{room, "-\x01\x01\x01\x02id\x02\x01\xff", errValue}, {room, "-" + chat + "\x03\x00", errValue}, {room, "-" + chat + "\x03\x02\x01\x01", errValue},
		{room, "-" + chat + "\x03\x01\x80", errValue}, {room, "-" + chat + "\x04\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", errValue},
		{room, "-" + chat + "\x05\x81\x08" + strings.Repeat("k", 1025), errValue},
		{room, "-" + chat + "\x07\x03{\"a", errContent}, {room, "-" + chat + "\x07\x031,2", errContent}, {room, "-" + chat + "\x06\x01{", errContent},
	} {
		m, err := decodeMessage(c.topic, []byte(c.payload))
		if err != c.want {
			t.Errorf("%+v %q: %v, %v; want %v", c.topic, c.payload, m, err, c.want)
		}
	}
}

func TestMalformedPayloadsAreCounted(t *testing.T) {
	b := newTestBroker(t, Shard{Addresses: []string{"127.0.0.1:1"}})
	for _, err := range []error{errHeader, errVersion, errKind, errField, errTopic, errContent, errors.New("another"), fmt.Errorf("in: %w", errTopic)} {
		b.countMalformed(err)
	}
	got := b.Counters()
	for name, want := range map[string]uint64{"malformed_header": 1, "malformed_version": 2, "malformed_envelope": 2, "malformed_topic": 2, "malformed_content": 1} {
		if got[name] != want {
			t.Errorf("%s is %d, want %d", name, got[name], want)
		}
	}
}

func TestDecodingAllocatesTheMessageAndItsTexts(t *testing.T) {
	m := messages[0]
	payload, topic := payloadOf(&m), router.Topic{Name: "lobby"}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := decodeMessage(topic, payload); err != nil {
			t.Fatal(err)
		}
	}); n > 2 {
		t.Errorf("%v allocations, want at most 2", n)
	}
	buffer := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { buffer = appendMessage(appendHeader(buffer[:0], m.Position), &m) }); n > 0 {
		t.Errorf("encoding: %v allocations, want none", n)
	}
}

// FuzzDecodeMessage: what anyone may publish does no harm, and what is accepted
// is what encoding it again gives.
func FuzzDecodeMessage(f *testing.F) {
	for _, m := range messages {
		f.Add("lobby", uint8(m.Kind), payloadOf(&m))
	}
	f.Add("lobby", uint8(1), []byte("-\x01\x01\x01\x02id\x02\x03ann\x08\x01x"))
	f.Add("lobby", uint8(1), []byte("e:1:\x01\x01\x01\x02id\x07\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, name string, kind uint8, payload []byte) {
		topic := [...]router.Topic{{Name: name}, {Name: name, User: true}, {}}[kind%3]
		original := bytes.Clone(payload)
		m, err := decodeMessage(topic, payload)
		if !bytes.Equal(payload, original) {
			t.Fatal("the payload was changed")
		}
		if err != nil {
			return
		}
		if m.Room != topic.Name && m.Target != topic.Name || m.Room != "" && topic.User || m.Target != "" && !topic.User {
			t.Fatalf("on the channel of %+v there is a message to room %q, user %q", topic, m.Room, m.Target)
		}
		if len(m.ID)+len(m.From)+len(m.Key)+len(m.Epoch)+len(m.Info)+len(m.Content) > len(payload) {
			t.Fatalf("a payload of %d bytes became %+v", len(payload), m)
		}
		if m.Kind != router.ControlMessage && (len(m.Content) > 0 && wire.CheckJSON(m.Content) != "" || len(m.Info) > 0 && wire.CheckJSON(m.Info) != "") {
			t.Fatalf("content or info is not JSON: %+v", m)
		}
		again, err := decodeMessage(topic, payloadOf(m))
		if err != nil {
			t.Fatalf("encoded again it is refused: %v", err)
		}
		if !reflect.DeepEqual(m, again) {
			t.Fatalf("%+v became %+v", m, again)
		}
	})
}

// FuzzEncodedMessagesAreDecoded: whatever Publish accepts arrives.
func FuzzEncodedMessagesAreDecoded(f *testing.F) {
	f.Add(uint8(1), "id", "lobby", "ann", uint64(1), "key", int64(1), "e", uint64(1))
	f.Add(uint8(3), "id", "lobby", "", uint64(0), "", int64(-1), "", uint64(0))
	f.Fuzz(func(t *testing.T, kind uint8, id, name, from string, conn uint64, key string, time int64, epoch string, offset uint64) {
		m := router.Message{Kind: router.MessageKind(kind), ID: id, From: from, Conn: conn, Key: key, Time: max(time, 0), Content: []byte("1")}
		switch m.Kind {
		case router.RoomMessage, router.UserJoined, router.UserLeft:
			m.Room = name
		case router.DirectMessage:
			m.Target = name
		}
		topic, ok := topicOf(&m)
		if !ok || publishable(&m) != nil {
			return
		}
		if h, ok := parseHeader([]byte(fmt.Sprintf("%s:%d:", epoch, offset))); ok && h.epoch == len(epoch) && m.Kind == router.RoomMessage {
			m.Position = router.Position{Epoch: epoch, Offset: offset}
		}
		got, err := decodeMessage(topic, payloadOf(&m))
		if err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
		if !reflect.DeepEqual(&m, got) {
			t.Fatalf("%+v became %+v", m, got)
		}
	})
}
