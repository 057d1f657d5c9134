package plugins

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"time"
)

const (
	maxSamples = 32

	// Bounds of what is told of one JSON output.
	shapeDepth = 6
	shapeItems = 16
	shapeBytes = 1 << 10
)

// Difference is an event on which a candidate answered differently. It holds
// nothing that was in the event, or in an answer: only types and lengths.
type Difference struct {
	At      time.Time // of the event
	Kind    string    // failure, verdict, code, output
	Fields  []string  // the outputs that differ, if Kind is output
	Hook    string    // connect, join, …
	Message string    // room, broadcast, direct; of a connect new, refresh; else ""
	Room    string    // the pattern of the filter's rooms that matched, or hash:…; "": none

	// Of the event, in bytes.
	Content, Claims, State, Lookup int

	Active, Candidate Told
}

// Told is what one version answered.
type Told struct {
	Verdict string            // "": it failed
	Code    uint32            // of a refusal
	Failure string            // the cause; "": it answered
	Outputs map[string]string // the shapes of those that it set
}

// samples are the latest differences.
type samples struct {
	ring [maxSamples]*Difference
	next int
}

func (s *samples) add(d *Difference) {
	s.ring[s.next] = d
	s.next = (s.next + 1) % maxSamples
}

func (s *samples) latest() []Difference {
	var out []Difference
	for i := range maxSamples {
		if d := s.ring[(s.next+maxSamples-1-i)%maxSamples]; d != nil {
			out = append(out, *d)
		}
	}
	return out
}

// describe makes a sample.
func (c *copied) describe(k kind, fields []string, is *told) *Difference {
	s := &c.version.settings
	shapes := shaper{keys: make(map[string]string)}
	return &Difference{
		At: time.Unix(0, c.event.Time), Kind: k.String(), Fields: fields,
		Hook: hookWord(c.event.Hook), Message: kindWord(&c.event), Room: roomWord(s, c.q.room),
		Content: len(c.q.payload), Claims: len(c.q.claims), State: len(c.q.state), Lookup: len(c.q.lookup),
		Active: c.was.describe(s, &shapes), Candidate: is.describe(s, &shapes),
	}
}

func (t *told) describe(s *settings, shapes *shaper) Told {
	if t.cause != CauseNone {
		return Told{Failure: t.cause.String()}
	}
	out := Told{Verdict: verdictWords[t.effective(s)], Code: t.code, Outputs: make(map[string]string)}
	if len(t.reason) > 0 {
		out.Outputs["reason"] = length("text", t.reason)
	}
	if t.retry != 0 {
		out.Outputs["retry"] = "time"
	}
	if t.expires != 0 {
		out.Outputs["expires"] = "time"
	}
	for i, o := range t.outputs() {
		if o.set {
			out.Outputs[outputWords[i]] = shapes.of(outputWords[i], o.bytes)
		}
	}
	return out
}

func length(what string, b []byte) string { return what + "(" + strconv.Itoa(len(b)) + ")" }

var roomSeed = maphash.MakeSeed()

// roomWord tells rooms apart without telling their names.
func roomWord(s *settings, room string) string {
	if room == "" {
		return ""
	}
	for i, p := range s.rooms {
		if p.Match(room) {
			return s.Spec.Rooms[i]
		}
	}
	return fmt.Sprintf("hash:%08x", uint32(maphash.String(roomSeed, room)))
}

// shaper tells the structure of JSON without what is in it. Names of members may
// be content too: the first that it meets is k1, wherever it stands.
type shaper struct {
	keys   map[string]string
	out    strings.Builder
	broken bool // what it reads is not JSON
}

func (s *shaper) of(output string, b []byte) string {
	switch {
	case output == "state":
		return length("bytes", b)
	case output == "room" || output == "user" || len(b) == 0:
		return length("text", b)
	}
	s.out.Reset()
	s.broken = false
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	s.value(d, 0)
	return s.out.String()
}

// value writes the shape of the next value, or reads past it when there is enough.
func (s *shaper) value(d *json.Decoder, depth int) {
	token, err := d.Token()
	if err != nil { // it was checked before: this does not happen
		s.broken = true
		return
	}
	switch t := token.(type) {
	case json.Delim:
		s.members(d, t, depth)
	case string:
		s.write(length("string", []byte(t)), depth)
	case json.Number:
		s.write("number", depth)
	case bool:
		s.write("bool", depth)
	default:
		s.write("null", depth)
	}
}

func (s *shaper) members(d *json.Decoder, open json.Delim, depth int) {
	object := open == '{'
	s.write(open.String(), depth)
	for n := 0; !s.broken && d.More(); n++ {
		inner := depth + 1
		switch {
		case n == shapeItems:
			s.write(",…", depth)
			inner = shapeDepth + 1
		case n > shapeItems:
			inner = shapeDepth + 1
		case n > 0:
			s.write(",", depth)
		}
		if object {
			key, err := d.Token()
			if err != nil {
				s.broken = true
				return
			}
			s.write(s.name(key)+":", inner)
		}
		s.value(d, inner)
	}
	if end, err := d.Token(); err == nil {
		s.write(fmt.Sprint(end), depth)
	}
}

func (s *shaper) name(key json.Token) string {
	text, _ := key.(string)
	word, ok := s.keys[text]
	if !ok {
		word = "k" + strconv.Itoa(len(s.keys)+1)
		s.keys[text] = word
	}
	return word
}

// write adds text, unless it is too deep or there is enough.
func (s *shaper) write(text string, depth int) {
	switch {
	case depth > shapeDepth:
	case s.out.Len() < shapeBytes:
		s.out.WriteString(text)
	case !strings.HasSuffix(s.out.String(), "…"):
		s.out.WriteString("…")
	}
}
