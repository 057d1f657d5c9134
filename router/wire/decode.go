package wire

import (
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// maxScratch is the memory that a decoder keeps between frames, in bytes. All
// texts of a command but the token fit in it together.
const maxScratch = 4 << 10

// Decoder decodes commands. The zero value is ready. Not safe for concurrent use.
type Decoder struct {
	scratch []byte // unescaped texts of the latest command; nil until there are any
}

// Decode reads one frame into c. After an error, whose ID points into the
// frame, c is without meaning.
//
// The whole frame has to be one JSON object and nothing else, valid to the last
// byte of what is ignored too. A field of the protocol must not come twice.
// Fields that the command does not have are ignored; null is as good as absent,
// except for content. Nothing is allocated for a frame that is accepted, unless
// its texts are escaped and longer than what the decoder keeps.
func (d *Decoder) Decode(frame []byte, c *Command) *Error {
	*c = Command{}
	d.scratch = d.scratch[:0]

	i := skipSpace(frame, 0)
	if i >= len(frame) {
		return refuse("", "the frame is empty; a JSON object was expected", nil)
	}
	if frame[i] != '{' {
		return refuse("", "a frame must be one JSON object", nil)
	}
	var o object
	i, f := scanObject(frame, i+1, 1, commandFields, &o)
	if f == faultNone {
		if i = skipSpace(frame, i); i < len(frame) {
			f = faultTrailing
		}
	}
	if f != faultNone {
		return refuse("", f.reason(i), salvageID(frame, &o))
	}
	return d.interpret(frame, &o, c)
}

// interpret makes a command of the fields of a frame that is valid JSON.
func (d *Decoder) interpret(frame []byte, o *object, c *Command) *Error {
	present := o.seen &^ (o.null &^ setOfContent)
	if present.has(fieldID) && !o.twice.has(fieldID) {
		v := o.at[fieldID]
		if reason := checkID(frame, v); reason != "" {
			return refuse("id", reason, nil)
		}
		c.ID = frame[v.start:v.end:v.end]
	}
	if o.twice != 0 {
		return refuse(o.twice.first().String(), "is there more than once", c.ID)
	}
	if !present.has(fieldType) {
		return refuse("type", "is missing; "+allTypes(), c.ID)
	}
	name, reason := d.text(frame, o.at[fieldType], longestType)
	if reason != "" {
		if o.at[fieldType].kind == kindString {
			reason = "is unknown; " + allTypes()
		}
		return refuse("type", reason, c.ID)
	}
	if c.Type = typeOf(name); c.Type == TypeNone {
		return refuse("type", unknownType(name), c.ID)
	}
	shape := shapes[c.Type]
	if missing := shape.required &^ present; missing != 0 {
		return refuse(missing.first().String(), "is missing: "+c.Type.String()+" needs "+shape.required.String(), c.ID)
	}
	for rest := present & (shape.required | shape.optional); rest != 0; rest &= rest - 1 {
		f := field(bits.TrailingZeros16(uint16(rest)))
		if within, reason := d.assign(frame, f, o.at[f], c); reason != "" {
			name := f.String()
			if within != fieldUnknown {
				name += "." + within.String()
			}
			return refuse(name, reason, c.ID)
		}
	}
	return nil
}

const setOfContent = fieldSet(1) << fieldContent

func refuse(field, reason string, id []byte) *Error {
	return &Error{Code: BadRequest, Field: field, Reason: reason, ID: id}
}

// assign reads one field into the command. If something is wrong it says what,
// and in which field of an object, or fieldUnknown.
func (d *Decoder) assign(frame []byte, f field, v value, c *Command) (within field, reason string) {
	switch f {
	case fieldRoom:
		c.Room, reason = d.name(frame, v)
	case fieldTargetUser:
		c.TargetUser, reason = d.name(frame, v)
	case fieldContent:
		c.Content = frame[v.start:v.end:v.end]
	case fieldKey:
		c.Key, reason = d.text(frame, v, MaxKey)
	case fieldCursor:
		c.Cursor, reason = d.text(frame, v, MaxCursor)
	case fieldToken:
		c.Token, reason = d.text(frame, v, len(frame))
	case fieldLimit:
		c.Limit, reason = limitOf(frame, v)
	case fieldRecover:
		c.HasRecover = true
		return d.position(frame, v, &c.Recover)
	case fieldSince:
		c.HasSince = true
		return d.position(frame, v, &c.Since)
	}
	return fieldUnknown, reason
}

// name reads a room or user name.
func (d *Decoder) name(frame []byte, v value) (text []byte, reason string) {
	if text, reason = d.text(frame, v, MaxName); reason == "" {
		reason = CheckName(text)
	}
	return text, reason
}

// text reads a string of 1 to limit bytes: a part of the frame, or of the
// scratch if it had to be unescaped.
func (d *Decoder) text(frame []byte, v value, limit int) (text []byte, reason string) {
	if v.kind != kindString {
		return nil, mustBe("a string", v.kind)
	}
	raw := frame[v.start+1 : v.end-1 : v.end-1]
	if v.escaped {
		if raw, reason = d.unescaped(raw, limit); reason != "" {
			return nil, reason
		}
	}
	if len(raw) == 0 {
		return nil, reasonEmpty
	}
	if len(raw) > limit {
		return nil, tooLong(limit)
	}
	return raw, ""
}

// unescaped is the text of an escaped string. Texts stand one behind the other
// in the scratch, which never grows; one that does not fit gets memory of its
// own.
func (d *Decoder) unescaped(raw []byte, limit int) (text []byte, reason string) {
	need := min(len(raw), limit+utf8.UTFMax)
	if len(d.scratch)+need > maxScratch {
		return unescape(make([]byte, 0, need), raw, limit)
	}
	if d.scratch == nil {
		d.scratch = make([]byte, 0, maxScratch)
	}
	start := len(d.scratch)
	d.scratch, reason = unescape(d.scratch, raw, limit)
	return d.scratch[start:len(d.scratch):len(d.scratch)], reason
}

// position reads recover or since.
func (d *Decoder) position(frame []byte, v value, p *Position) (within field, reason string) {
	if v.kind != kindObject {
		return fieldUnknown, mustBe("an object with epoch and offset", v.kind)
	}
	var o object
	scanObject(frame, v.start+1, 2, positionFields, &o)
	if o.twice != 0 {
		return o.twice.first(), "is there more than once"
	}
	if missing := positionFields &^ (o.seen &^ o.null); missing != 0 {
		return missing.first(), "is missing"
	}
	if p.Epoch, reason = d.text(frame, o.at[fieldEpoch], MaxEpoch); reason != "" {
		return fieldEpoch, reason
	}
	at := o.at[fieldOffset]
	if at.kind != kindNumber {
		return fieldOffset, mustBe("a number", at.kind)
	}
	offset, err := strconv.ParseUint(string(frame[at.start:at.end]), 10, 64)
	if err != nil {
		return fieldOffset, "must be an integer from 0 to 2^64-1, written in digits alone"
	}
	p.Offset = offset
	return fieldUnknown, ""
}

// limitOf reads a limit.
func limitOf(frame []byte, v value) (limit int, reason string) {
	if v.kind != kindNumber {
		return 0, mustBe("a number", v.kind)
	}
	n, err := strconv.ParseUint(string(frame[v.start:v.end]), 10, 64)
	if err != nil || n < 1 || n > MaxLimit {
		return 0, "must be an integer from 1 to " + strconv.Itoa(MaxLimit) + ", written in digits alone"
	}
	return int(n), ""
}

func mustBe(what string, is kind) string {
	return "must be " + what + ", not " + kindNames[is]
}
