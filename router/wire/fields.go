package wire

import (
	"math/bits"
	"strings"
	"unicode/utf8"
)

// field is a name that the protocol gives a meaning to.
type field uint8

const (
	fieldType field = iota
	fieldID
	fieldRoom
	fieldContent
	fieldTargetUser
	fieldKey
	fieldToken
	fieldLimit
	fieldCursor
	fieldRecover
	fieldSince
	fieldEpoch  // in recover and since
	fieldOffset // in recover and since
	fieldCount
	fieldUnknown = fieldCount
)

var fieldNames = [fieldCount]string{
	fieldType:       "type",
	fieldID:         "id",
	fieldRoom:       "room",
	fieldContent:    "content",
	fieldTargetUser: "target_user",
	fieldKey:        "key",
	fieldToken:      "token",
	fieldLimit:      "limit",
	fieldCursor:     "cursor",
	fieldRecover:    "recover",
	fieldSince:      "since",
	fieldEpoch:      "epoch",
	fieldOffset:     "offset",
}

// longestField is the length of the longest name.
const longestField = len("target_user")

func (f field) String() string { return fieldNames[f] }

func fieldOf(name []byte) field {
	switch string(name) {
	case "type":
		return fieldType
	case "id":
		return fieldID
	case "room":
		return fieldRoom
	case "content":
		return fieldContent
	case "target_user":
		return fieldTargetUser
	case "key":
		return fieldKey
	case "token":
		return fieldToken
	case "limit":
		return fieldLimit
	case "cursor":
		return fieldCursor
	case "recover":
		return fieldRecover
	case "since":
		return fieldSince
	case "epoch":
		return fieldEpoch
	case "offset":
		return fieldOffset
	}
	return fieldUnknown
}

// fieldSet has bit f for field f.
type fieldSet uint16

func setOf(fields ...field) (s fieldSet) {
	for _, f := range fields {
		s |= 1 << f
	}
	return s
}

func (s fieldSet) has(f field) bool { return s>>f&1 != 0 }

// first is the field of the set that comes first above; the set is not empty.
func (s fieldSet) first() field { return field(bits.TrailingZeros16(uint16(s))) }

func (s fieldSet) String() string {
	var names []string
	for ; s != 0; s &= s - 1 {
		names = append(names, s.first().String())
	}
	return strings.Join(names, " and ")
}

var (
	commandFields = setOf(fieldType, fieldID, fieldRoom, fieldContent, fieldTargetUser, fieldKey, fieldToken,
		fieldLimit, fieldCursor, fieldRecover, fieldSince)
	positionFields = setOf(fieldEpoch, fieldOffset)
)

// shapes are the fields that each command must and may have besides type and
// id. Any other is ignored, whatever its value.
var shapes = [...]struct{ required, optional fieldSet }{
	JoinRoom:      {setOf(fieldRoom), setOf(fieldRecover)},
	LeaveRoom:     {setOf(fieldRoom), 0},
	RoomMessage:   {setOf(fieldRoom, fieldContent), setOf(fieldKey)},
	Chat:          {setOf(fieldContent), setOf(fieldRoom, fieldKey)},
	DirectMessage: {setOf(fieldTargetUser, fieldContent), setOf(fieldKey)},
	Presence:      {setOf(fieldRoom), setOf(fieldLimit, fieldCursor)},
	History:       {setOf(fieldRoom), setOf(fieldLimit, fieldSince, fieldCursor)},
	Refresh:       {setOf(fieldToken), 0},
	Ping:          {},
	Pong:          {},
}

// kind is what a JSON value is, as people call it.
type kind uint8

const (
	kindString kind = iota
	kindNumber
	kindObject
	kindArray
	kindBoolean
	kindNull
)

var kindNames = [...]string{"a string", "a number", "an object", "an array", "a boolean", "null"}

func kindOf(first byte) kind {
	switch first {
	case '"':
		return kindString
	case '{':
		return kindObject
	case '[':
		return kindArray
	case 't', 'f':
		return kindBoolean
	case 'n':
		return kindNull
	}
	return kindNumber
}

// value is a field's value: b[start:end] of what was scanned.
type value struct {
	start, end int
	kind       kind
	escaped    bool // a string with escape sequences
}

// object is what scanObject found.
type object struct {
	seen  fieldSet // fields that are there
	null  fieldSet // fields whose value is null
	twice fieldSet // fields that are there more than once
	at    [fieldCount]value
}

// scanObject steps over the object whose { lies before i, inside depth
// containers (itself counted), and notes the values of the fields it is to
// know. Names that are escaped are the same names.
func scanObject(b []byte, i, depth int, known fieldSet, o *object) (next int, f fault) {
	if i = skipSpace(b, i); i < len(b) && b[i] == '}' {
		return i + 1, faultNone
	}
	for more := true; more; {
		var name field
		if i, name, f = scanName(b, i); f != faultNone {
			return i, f
		}
		if i, f = skipColon(b, i); f != faultNone {
			return i, f
		}
		if i = skipSpace(b, i); i >= len(b) {
			return i, faultEnd
		}
		v := value{start: i, kind: kindOf(b[i])}
		if v.kind == kindString {
			i, v.escaped, f = skipString(b, i+1)
		} else {
			i, f = skipValue(b, i, depth)
		}
		if f != faultNone {
			return i, f
		}
		if name != fieldUnknown && known.has(name) {
			v.end = i
			o.note(name, v)
		}
		if i, more, f = skipSeparator(b, i, true); f != faultNone {
			return i, f
		}
	}
	return i, faultNone
}

func (o *object) note(name field, v value) {
	bit := fieldSet(1) << name
	o.twice |= o.seen & bit
	o.seen |= bit
	if v.kind == kindNull {
		o.null |= bit
	}
	o.at[name] = v
}

// scanName steps over a field's name and says which it is.
func scanName(b []byte, i int) (next int, name field, f fault) {
	if i = skipSpace(b, i); i >= len(b) {
		return i, fieldUnknown, faultEnd
	}
	if b[i] != '"' {
		return i, fieldUnknown, faultName
	}
	start := i + 1
	i, escaped, f := skipString(b, start)
	if f != faultNone {
		return i, fieldUnknown, f
	}
	text := b[start : i-1]
	if escaped {
		var short [longestField + utf8.UTFMax]byte
		var reason string
		if text, reason = unescape(short[:0], text, longestField); reason != "" {
			return i, fieldUnknown, faultNone
		}
	}
	return i, fieldOf(text), faultNone
}
