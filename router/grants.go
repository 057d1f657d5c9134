package router

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits of grants, which come from tokens.
const (
	MaxGrants     = 16 << 10 // bytes of JSON
	MaxGrantRules = 256
)

// Grants is what an identity may do. It is immutable. The zero value
// grants nothing.
type Grants struct {
	user      string // stands for ${user}; "": the user of the connection
	rooms     []roomGrant
	broadcast bool
	direct    bool
}

type roomGrant struct {
	rooms Pattern
	allow action
}

// action is something done in a room, as a bit.
type action uint8

const (
	actJoin action = 1 << iota
	actSend
	actPresence
	actHistory
)

var actions = map[string]action{"join": actJoin, "send": actSend, "presence": actPresence, "history": actHistory}

// DefaultGrants is what an identity without grants may do where the
// configuration does not say otherwise: everything in every room, and direct
// messages, but no broadcast.
func DefaultGrants() *Grants {
	g := openGrants()
	g.broadcast = false
	return g
}

// openGrants is what everyone may do on a node that asks nobody who he is.
func openGrants() *Grants {
	all, _ := ParsePattern("**")
	return &Grants{
		rooms:     []roomGrant{{all, actJoin | actSend | actPresence | actHistory}},
		broadcast: true,
		direct:    true,
	}
}

// ParseGrants reads grants as the plugin ABI has them:
// [{"rooms":"chat:*","allow":["join","send","presence","history"]}, …] plus
// {"allow":["broadcast"]} and {"allow":["direct"]}. ${user} in a pattern stands
// for the user, literally; with user "" it stands for whichever user the
// grants are applied to, as configured default grants need it.
func ParseGrants(raw []byte, user string) (*Grants, error) {
	if len(raw) > MaxGrants {
		return nil, fmt.Errorf("grants have %d bytes; at most %d are allowed", len(raw), MaxGrants)
	}
	var rules []struct {
		Rooms *string  `json:"rooms"`
		Allow []string `json:"allow"`
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rules); err != nil {
		return nil, fmt.Errorf(`grants are a list like [{"rooms":"chat:*","allow":["join","send"]},{"allow":["direct"]}]: %w`, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("grants are one JSON list; something follows it")
	}
	if len(rules) > MaxGrantRules {
		return nil, fmt.Errorf("grants have %d entries; at most %d are allowed", len(rules), MaxGrantRules)
	}
	g := &Grants{user: user}
	for i, rule := range rules {
		var err error
		switch {
		case rule.Allow == nil:
			err = errors.New("allow is missing; write what is allowed")
		case rule.Rooms != nil:
			err = g.addRooms(*rule.Rooms, rule.Allow)
		default:
			err = g.addNodeWide(rule.Allow)
		}
		if err != nil {
			return nil, fmt.Errorf("grants[%d]: %w", i, err)
		}
	}
	return g, nil
}

func (g *Grants) addRooms(rooms string, allow []string) error {
	p, err := parsePattern(rooms, true)
	if err != nil {
		return fmt.Errorf("rooms: %w", err)
	}
	rule := roomGrant{rooms: p}
	for _, word := range allow {
		bit, ok := actions[word]
		switch {
		case ok:
			rule.allow |= bit
		case word == "broadcast" || word == "direct":
			return fmt.Errorf(`allow: %q is not about rooms; write it as an entry of its own: {"allow":[%q]}`, word, word)
		default:
			return fmt.Errorf("allow: %q is unknown; rooms have join, send, presence and history", clip(word))
		}
	}
	g.rooms = append(g.rooms, rule)
	return nil
}

func (g *Grants) addNodeWide(allow []string) error {
	for _, word := range allow {
		switch _, ok := actions[word]; {
		case word == "broadcast":
			g.broadcast = true
		case word == "direct":
			g.direct = true
		case ok:
			return fmt.Errorf(`allow: %q needs to know where; add "rooms":"<pattern>" to the entry`, word)
		default:
			return fmt.Errorf("allow: %q is unknown; without rooms there are broadcast and direct", clip(word))
		}
	}
	return nil
}

// MarshalJSON writes the grants in the form that ParseGrants reads, for people
// and tools that look at an identity.
func (g *Grants) MarshalJSON() ([]byte, error) {
	type rule struct {
		Rooms string   `json:"rooms,omitempty"`
		Allow []string `json:"allow"`
	}
	rules := []rule{}
	for _, r := range g.rooms {
		allow := []string{}
		for _, word := range []string{"join", "send", "presence", "history"} {
			if r.allow&actions[word] != 0 {
				allow = append(allow, word)
			}
		}
		rules = append(rules, rule{r.rooms.String(), allow})
	}
	if g.broadcast {
		rules = append(rules, rule{Allow: []string{"broadcast"}})
	}
	if g.direct {
		rules = append(rules, rule{Allow: []string{"direct"}})
	}
	return json.Marshal(rules)
}

// may reports whether the user may do what in the room.
func (g *Grants) may(what action, room, user string) bool {
	if g.user != "" {
		user = g.user
	}
	for i := range g.rooms {
		if rule := &g.rooms[i]; rule.allow&what != 0 && rule.rooms.match(room, user) {
			return true
		}
	}
	return false
}

// may reports whether the connection may do what in the room.
func (c *conn) may(cur *current, what action, room string) bool {
	id := c.who()
	return cur.grants(id).may(what, room, id.User)
}

// clip shortens a client's word for an error text.
func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}
