package wire

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// reference reads a frame by the rules of docs/protocol.md, slowly, with
// encoding/json. refused is "" or why it is none; id is what an error has to
// carry: the id of a frame that is valid JSON and has exactly one valid id.
func reference(frame []byte) (c Command, refused string, id []byte) {
	if !json.Valid(frame) || !utf8.Valid(frame) {
		return c, "it is not valid JSON", nil
	}
	if depthOf(frame) > MaxDepth {
		return c, "it is too deep", nil
	}
	top, ok := membersOf(frame)
	if !ok {
		return c, "it is not an object", nil
	}
	for name := range top {
		if !strings.Contains(" type id room content target_user key token limit cursor recover since ", " "+name+" ") {
			delete(top, name)
		}
	}
	refuse := func(why string) { // keeps the first reason
		if refused == "" {
			refused = why
		}
	}
	if values := top["id"]; len(values) == 1 && values[0] != "null" {
		if text, ok := referenceText(values[0], 0, MaxID); ok && text != nil || numeric(values[0]) && len(values[0]) <= MaxID {
			id = []byte(values[0])
			c.ID = id
		} else {
			refuse("its id is none")
		}
	}
	value := map[string]string{}
	for name, values := range top {
		if len(values) > 1 {
			refuse("it has " + name + " twice")
		}
		if values[0] != "null" || name == "content" {
			value[name] = values[0]
		}
	}
	name := func(field string) []byte {
		raw, there := value[field]
		text, ok := referenceText(raw, 1, MaxName)
		if there && (!ok || strings.ContainsFunc(string(text), unicode.IsControl)) {
			refuse(field + " is no name")
		}
		return text
	}
	text := func(field string, limit int) []byte {
		raw, there := value[field]
		text, ok := referenceText(raw, 1, limit)
		if there && !ok {
			refuse(field + " is no text")
		}
		return text
	}
	content := func() []byte {
		if raw, there := value["content"]; there {
			return []byte(raw)
		}
		return nil
	}
	limit := func() int {
		n, err := strconv.Atoi(value["limit"])
		if _, there := value["limit"]; there && (err != nil || n < 1 || n > MaxLimit) {
			refuse("limit is none")
		}
		return n
	}
	position := func(field string) (p Position, there bool) {
		raw, there := value[field]
		if !there {
			return p, false
		}
		in, ok := membersOf([]byte(raw))
		if !ok || len(in["epoch"]) != 1 || len(in["offset"]) != 1 {
			refuse(field + " is no position")
			return p, true
		}
		offset, err := strconv.ParseUint(in["offset"][0], 10, 64)
		epoch, ok := referenceText(in["epoch"][0], 1, MaxEpoch)
		if err != nil || !ok {
			refuse(field + " is no position")
		}
		return Position{Epoch: epoch, Offset: offset}, true
	}
	needs := func(fields ...string) {
		for _, field := range fields {
			if _, there := value[field]; !there {
				refuse(field + " is missing")
			}
		}
	}

	var typ string
	if json.Unmarshal([]byte(value["type"]), &typ) != nil {
		refuse("its type is no string")
	}
	switch typ {
	case "join_room":
		needs("room")
		c.Type, c.Room = JoinRoom, name("room")
		c.Recover, c.HasRecover = position("recover")
	case "leave_room":
		needs("room")
		c.Type, c.Room = LeaveRoom, name("room")
	case "room_message":
		needs("room", "content")
		c.Type, c.Room, c.Content, c.Key = RoomMessage, name("room"), content(), text("key", MaxKey)
	case "chat":
		needs("content")
		c.Type, c.Room, c.Content, c.Key = Chat, name("room"), content(), text("key", MaxKey)
	case "direct_message":
		needs("target_user", "content")
		c.Type, c.TargetUser, c.Content, c.Key = DirectMessage, name("target_user"), content(), text("key", MaxKey)
	case "presence":
		needs("room")
		c.Type, c.Room, c.Limit, c.Cursor = Presence, name("room"), limit(), text("cursor", MaxCursor)
	case "history":
		needs("room")
		c.Type, c.Room, c.Limit, c.Cursor = History, name("room"), limit(), text("cursor", MaxCursor)
		c.Since, c.HasSince = position("since")
	case "refresh":
		needs("token")
		c.Type, c.Token = Refresh, text("token", len(frame))
	case "ping":
		c.Type = Ping
	case "pong":
		c.Type = Pong
	default:
		refuse("its type is unknown")
	}
	return c, refused, id
}

// membersOf are the members of an object, each name with all its values as
// they are written.
func membersOf(text []byte) (members map[string][]string, ok bool) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, false
	}
	members = map[string][]string{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, false
		}
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return nil, false
		}
		members[name.(string)] = append(members[name.(string)], string(raw))
	}
	return members, true
}

// referenceText is the text of a JSON string of least to most bytes without
// half surrogate pairs; nil if raw is anything else.
func referenceText(raw string, least, most int) (text []byte, ok bool) {
	var s string
	if !strings.HasPrefix(raw, `"`) || json.Unmarshal([]byte(raw), &s) != nil || len(s) < least || len(s) > most {
		return nil, false
	}
	rest := strings.ReplaceAll(raw, `\\`, "__")
	rest = surrogatePair.ReplaceAllString(rest, "")
	return []byte(s), !surrogate.MatchString(rest)
}

var (
	surrogatePair = regexp.MustCompile(`(?i)\\ud[89ab]..\\ud[c-f]..`)
	surrogate     = regexp.MustCompile(`(?i)\\ud[89a-f]`)
)

func numeric(raw string) bool { return raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9' }

// depthOf is how deep the arrays and objects of a JSON text are nested.
func depthOf(text []byte) (deepest int) {
	decoder, depth := json.NewDecoder(bytes.NewReader(text)), 0
	for {
		token, err := decoder.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}
