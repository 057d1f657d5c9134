package wire

import (
	"strings"
	"testing"
)

// roomMessage is a room_message of about size bytes as a chat client writes it.
func roomMessage(size int) []byte {
	const before, after = `{"type":"room_message","room":"chat:lobby","content":{"text":"`, `","n":12.5,"ok":true},"id":"a1"}`
	text := strings.Repeat("The quick brown fox jumps. ", size/27+1)
	return []byte(before + text[:size-len(before)-len(after)] + after)
}

func TestValidFramesAreDecodedWithoutAllocating(t *testing.T) {
	var d Decoder
	var c Command
	for name, frame := range map[string]string{
		"128 bytes":     string(roomMessage(128)),
		"1 KiB":         string(roomMessage(1024)),
		"60 KiB":        string(roomMessage(60 << 10)),
		"escaped texts": `{"t\u0079pe":"room_message","room":"\u00e9\/","content":"\ud83d\ude00","key":"\/","id":"\u0061"}`,
		"not ASCII":     `{"type":"direct_message","target_user":"Анна","content":"Привет, мир 😀"}`,
		"deep":          `{"type":"chat","content":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`,
		"recover":       `{"type":"join_room","room":"r","recover":{"epoch":"\u0065","offset":17}}`,
		"history":       `{"type":"history","room":"r","limit":1,"since":{"epoch":"\u0065","offset":17},"cursor":"\u0061"}`,
		"presence":      `{"type":"presence","room":"r","limit":1000,"cursor":"` + strings.Repeat(`\u0061`, 1024) + `"}`,
		"token":         `{"type":"refresh","token":"a\/b` + strings.Repeat("c", 2000) + `"}`,
		"unknown":       `{"type":"ping","x":{"y":[1,2,{"z":null}]},"\u0078":1}`,
	} {
		frame := []byte(frame)
		if allocations := testing.AllocsPerRun(100, func() {
			if err := d.Decode(frame, &c); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}); allocations != 0 {
			t.Errorf("%s: %v allocations", name, allocations)
		}
	}
}

func TestCheckingValidJSONAndNamesDoesNotAllocate(t *testing.T) {
	value, name := roomMessage(1024), []byte("chat:Анна")
	if allocations := testing.AllocsPerRun(100, func() {
		if CheckJSON(value) != "" || CheckName(name) != "" {
			t.Fatal("refused")
		}
	}); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func TestEventsAreAppendedWithoutAllocating(t *testing.T) {
	raw, buffer := []byte(`{"a":1}`), make([]byte, 0, 4096)
	welcome := &Welcome{UserID: "ann", ConnectionID: "c", PingIntervalMS: 1, ExpiresAt: 1, Version: "1"}
	delivery := &Delivery{From: "\"ann\xff", Info: raw, Content: raw, Room: "r\n", MessageID: "m", Offset: 1}
	ack := &Acknowledgement{ID: raw, MessageID: "m", Offset: 1, Epoch: "e"}
	joined := &RoomJoined{ID: raw, Room: "r", Epoch: "e", Offset: 1, Announced: true}
	page := &PresencePage{ID: raw, Room: "r", Total: 1, Users: []Occupant{{UserID: "ann", Info: raw, Connections: 1}}, Cursor: "c"}
	gap := &Gap{Room: "r", Reason: GapLost, Epoch: "e", Offset: 1}
	message := &HistoryMessage{From: "ann", Info: raw, Content: raw, MessageID: "m", Offset: 1, Time: 1}
	history := &HistoryPage{ID: raw, Room: "r", Epoch: "e", Messages: raw, More: true, Cursor: "c", Since: true}
	refusal := &Refusal{ID: raw, Code: Invalid, Reason: "why", Filter: "f", RetryAfterMS: 1}
	if allocations := testing.AllocsPerRun(100, func() {
		b := AppendWelcome(buffer, welcome)
		b = AppendDelivery(b, delivery)
		b = AppendAck(b, ack)
		b = AppendJoined(b, joined)
		b = AppendLeft(b, raw, "r", "why")
		b = AppendUserEvent(b, "user_joined", "ann", raw, "r")
		b = AppendPresence(b, page)
		b = AppendGap(b, gap)
		b = AppendHistory(b, history)
		b = AppendHistoryMessage(b, message)
		b = AppendError(b, refusal)
		b = AppendPing(b)
		AppendPong(b, raw)
	}); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func benchmarkDecode(b *testing.B, frame []byte) {
	var d Decoder
	var c Command
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Decode(frame, &c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeRoomMessage128B(b *testing.B) { benchmarkDecode(b, roomMessage(128)) }
func BenchmarkDecodeRoomMessage1KiB(b *testing.B) { benchmarkDecode(b, roomMessage(1024)) }

func BenchmarkDecodeRoomMessageNotASCII(b *testing.B) {
	benchmarkDecode(b, []byte(`{"type":"room_message","room":"chat:lobby","content":"`+strings.Repeat("Съешь ещё этих мягких булок. ", 18)+`"}`))
}

func BenchmarkDecodeStructuredContent(b *testing.B) {
	benchmarkDecode(b, []byte(`{"type":"room_message","room":"chat:lobby","content":[`+strings.Repeat(`{"x":12,"y":-3.5,"id":"p1","on":true},`, 25)+`0]}`))
}

func BenchmarkCheckJSON1KiB(b *testing.B) {
	value := roomMessage(1024)
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	for b.Loop() {
		if reason := CheckJSON(value); reason != "" {
			b.Fatal(reason)
		}
	}
}

func BenchmarkEncodeChat(b *testing.B) {
	delivery := &Delivery{From: "ann", Content: []byte(`{"text":"hello"}`), Room: "chat:lobby", MessageID: "01J9Z3T6M8Q4R2W7X5Y1"}
	buffer := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		AppendDelivery(buffer, delivery)
	}
}
