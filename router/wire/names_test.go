package wire

import (
	"strings"
	"testing"
)

func TestNamesAreUpTo255BytesOfUTF8WithoutControlCharacters(t *testing.T) {
	for _, name := range []string{
		"a", "chat:42", "a room", "*", "[]", "\\\"", "é", "部屋", "😀", "\u00a0", "\u2028", "\ufeff", "\ufffd", "~",
		strings.Repeat("x", 255), strings.Repeat("é", 127) + "x",
	} {
		if reason := CheckName([]byte(name)); reason != "" {
			t.Errorf("%.40q: %s", name, reason)
		}
	}
	for name, want := range map[string]string{
		"":                       "must not be empty",
		strings.Repeat("x", 256): "is longer than 255 bytes",
		strings.Repeat("é", 128): "is longer than 255 bytes",
		"a\x00b":                 "contains the control character U+0000",
		"a\n":                    "contains the control character U+000A",
		"\x1f":                   "contains the control character U+001F",
		"\x7f":                   "contains the control character U+007F",
		"\u0080":                 "contains the control character U+0080",
		"x\u009f":                "contains the control character U+009F",
		"\xff":                   "is not valid UTF-8",
		"a\xc3":                  "is not valid UTF-8",
		"\xed\xa0\x80":           "is not valid UTF-8",
	} {
		if got := CheckName([]byte(name)); got != want {
			t.Errorf("%.40q: got %q, want %q", name, got, want)
		}
	}
}

func TestEveryCommandHasItsNameAndShape(t *testing.T) {
	if len(typeNames) != len(shapes) {
		t.Fatalf("%d names, %d shapes", len(typeNames), len(shapes))
	}
	for typ := JoinRoom; int(typ) < len(typeNames); typ++ {
		if got := typeOf([]byte(typ.String())); got != typ {
			t.Errorf("%s is read as %q", typ, got)
		}
		if len(typ.String()) > longestType {
			t.Errorf("%s is longer than longestType", typ)
		}
	}
	if TypeNone.String() != "" || Type(200).String() != "" {
		t.Error("a type that is none has a name")
	}
}

func TestEveryFieldHasItsName(t *testing.T) {
	for f := range fieldCount {
		if got := fieldOf([]byte(f.String())); got != f {
			t.Errorf("%s is read as field %d", f, got)
		}
		if len(f.String()) > longestField {
			t.Errorf("%s is longer than longestField", f)
		}
	}
}

func TestATypeThatIsCloseIsSuggested(t *testing.T) {
	for name, want := range map[string]Type{
		"join":            TypeNone,
		"join-room":       JoinRoom,
		"JOIN_ROOM":       JoinRoom,
		"joinroom":        JoinRoom,
		"jion_room":       JoinRoom,
		"leave":           TypeNone,
		"leaveRoom":       LeaveRoom,
		"roommessage":     RoomMessage,
		"room.message":    RoomMessage,
		"direct_messages": DirectMessage,
		"histroy":         History,
		"presense":        Presence,
		"chats":           Chat,
		"pingg":           Ping,
		"pung":            Ping,
		"hint":            TypeNone,
		"message":         TypeNone,
		"":                TypeNone,
	} {
		if got := nearestType(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
