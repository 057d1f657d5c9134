package wire

import (
	"strconv"
	"unicode/utf8"
)

// checkID says what is wrong with the value of id; "" if nothing is.
func checkID(frame []byte, v value) (reason string) {
	switch v.kind {
	case kindNumber:
		if v.end-v.start > MaxID {
			return "is a number of more than " + strconv.Itoa(MaxID) + " characters"
		}
	case kindString:
		text := frame[v.start+1 : v.end-1]
		if v.escaped {
			var short [MaxID + utf8.UTFMax]byte
			if text, reason = unescape(short[:0], text, MaxID); reason != "" {
				return reason
			}
		}
		if len(text) > MaxID {
			return tooLong(MaxID)
		}
	default:
		return mustBe("a string or a number", v.kind)
	}
	return ""
}

// salvageID is the id of a frame that is not valid JSON, so that its sender can
// tell which of his commands failed; nil if that is not certain enough. o is
// what was read before the fault.
//
// Behind the fault only strings and brackets are told apart. The id counts if
// they close where the frame ends, and if there is no other.
func salvageID(frame []byte, o *object) (id []byte) {
	if o.seen.has(fieldID) {
		if v := o.at[fieldID]; !o.twice.has(fieldID) && checkID(frame, v) == "" {
			return frame[v.start:v.end:v.end]
		}
		return nil
	}
	depth := 0
	for i := 0; i < len(frame); {
		switch frame[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			end := stringEnd(frame, i)
			if end < 0 {
				return nil
			}
			if depth == 1 && string(frame[i:end]) == `"id"` {
				if colon, f := skipColon(frame, end); f == faultNone {
					if id != nil {
						return nil
					}
					if id = idAt(frame, skipSpace(frame, colon)); id == nil {
						return nil
					}
				}
			}
			i = end
			continue
		}
		i++
	}
	if depth != 0 {
		return nil
	}
	return id
}

// stringEnd is where the string that opens at i ends, -1 if it does not.
func stringEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// idAt is the id at i, nil if there is no valid one.
func idAt(frame []byte, i int) []byte {
	if i >= len(frame) {
		return nil
	}
	v := value{start: i, kind: kindOf(frame[i])}
	var f fault
	switch v.kind {
	case kindString:
		v.end, v.escaped, f = skipString(frame, i+1)
	case kindNumber:
		v.end, f = skipScalar(frame, i)
	}
	if f != faultNone || checkID(frame, v) != "" {
		return nil
	}
	if _, _, f = skipSeparator(frame, v.end, true); f != faultNone {
		return nil
	}
	return frame[v.start:v.end:v.end]
}
