package wire

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// CheckName says what is wrong with a room or user name; "" if nothing is. A
// name has 1 to MaxName bytes of UTF-8 without control characters (U+0000 to
// U+001F and U+007F to U+009F).
func CheckName(name []byte) (reason string) {
	if len(name) == 0 {
		return reasonEmpty
	}
	if len(name) > MaxName {
		return tooLong(MaxName)
	}
	for i := 0; i < len(name); {
		r, size := rune(name[i]), 1
		if r >= utf8.RuneSelf {
			if r, size = utf8.DecodeRune(name[i:]); r == utf8.RuneError && size == 1 {
				return "is not valid UTF-8"
			}
		}
		if r < 0x20 || 0x7f <= r && r <= 0x9f {
			return fmt.Sprintf("contains the control character U+%04X", r)
		}
		i += size
	}
	return ""
}

func tooLong(limit int) string {
	return "is longer than " + strconv.Itoa(limit) + " bytes"
}

// typeNames are the commands as they are written.
var typeNames = [...]string{
	JoinRoom:      "join_room",
	LeaveRoom:     "leave_room",
	RoomMessage:   "room_message",
	Chat:          "chat",
	DirectMessage: "direct_message",
	Presence:      "presence",
	History:       "history",
	Refresh:       "refresh",
	Ping:          "ping",
	Pong:          "pong",
}

// String is the command as it is written, "" for TypeNone.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return ""
}

// typeOf is the command of that name, or TypeNone.
func typeOf(name []byte) Type {
	switch string(name) {
	case "join_room":
		return JoinRoom
	case "leave_room":
		return LeaveRoom
	case "room_message":
		return RoomMessage
	case "chat":
		return Chat
	case "direct_message":
		return DirectMessage
	case "presence":
		return Presence
	case "history":
		return History
	case "refresh":
		return Refresh
	case "ping":
		return Ping
	case "pong":
		return Pong
	}
	return TypeNone
}

// longestType bounds the types worth comparing and quoting in a reason.
const longestType = 32

// unknownType is the reason to refuse a type, with the nearest one if it is
// close and else all there are.
func unknownType(name []byte) string {
	if len(name) > longestType {
		return "is unknown; " + allTypes()
	}
	quoted := strconv.Quote(string(name))
	if near := nearestType(string(name)); near != TypeNone {
		return "is unknown: " + quoted + "; did you mean " + strconv.Quote(near.String()) + "?"
	}
	return "is unknown: " + quoted + "; " + allTypes()
}

func allTypes() string { return "known are " + strings.Join(typeNames[JoinRoom:], ", ") }

// nearestType is the type that name is at most two slips away from, letter
// case and the marks between words aside.
func nearestType(name string) (nearest Type) {
	name = bare(name)
	best := 3
	for t := JoinRoom; int(t) < len(typeNames); t++ {
		known := bare(typeNames[t])
		// Two slips in a short word make another word.
		if d := distance(name, known); d < best && 2*d < len(known) {
			nearest, best = t, d
		}
	}
	return nearest
}

// bare is a name without what writers of other conventions do differently.
func bare(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("_-. :", r) {
			return -1
		}
		return r
	}, strings.ToLower(name))
}

// distance counts the letters to insert, delete or replace to get from a to b
// (the Levenshtein distance).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
