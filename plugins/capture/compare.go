package capture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// word is a verdict in short: "continue", "deny 422", "failure timeout".
func (s *said) word() string {
	switch {
	case s.failure != "":
		return "failure " + s.failure
	case s.Action == "":
		return "continue"
	case s.Code != 0:
		return fmt.Sprintf("%s %d", s.Action, s.Code)
	}
	return s.Action
}

// fields are those in which two answers differ in effect: to set what is so
// already is no difference.
func fields(a *Asked, e *Event, x, y *said) (out []string) {
	if x.failure != y.failure || x.Action != y.Action {
		out = append(out, "verdict")
	} else if x.Code != y.Code {
		out = append(out, "code")
	}
	if x.failure != "" || y.failure != "" {
		return out
	}
	payload, room := orText(a.Payload, e.Payload), orText(a.Room, Text(e.Room))
	if e.Hook == "connect" {
		payload = nil // its output is what others see of the user
	}
	for _, f := range []struct {
		name    string
		x, y    Text
		already Text
	}{
		{"reason", x.Reason, y.Reason, nil},
		{"payload", x.Payload, y.Payload, payload},
		{"room", x.Room, y.Room, room},
		{"state", x.State, y.State, orText(a.State, Text{})},
		{"user", x.User, y.User, nil},
		{"claims", x.Claims, y.Claims, nil},
		{"grants", x.Grants, y.Grants, nil},
	} {
		was, is := orText(f.x, f.already), orText(f.y, f.already)
		if (was == nil) != (is == nil) || !bytes.Equal(was, is) {
			out = append(out, f.name)
		}
	}
	if x.RetryMS != y.RetryMS {
		out = append(out, "retry_ms")
	}
	if x.Expires != y.Expires {
		out = append(out, "expires_ms")
	}
	return out
}

func orText(a, b Text) Text {
	if a != nil {
		return a
	}
	return b
}

// maxPlaces is how many places of a difference are named.
const maxPlaces = 5

// describe says where two contents differ, and not in what.
func describe(old, new []byte) string {
	text := fmt.Sprintf("%d bytes, now %d", len(old), len(new))
	var x, y any
	if json.Unmarshal(old, &x) != nil || json.Unmarshal(new, &y) != nil {
		return text
	}
	var places []string
	differences(x, y, "", &places)
	if len(places) == 0 {
		return text + ", the same but for its spelling"
	}
	if len(places) > maxPlaces {
		places = append(places[:maxPlaces], "…")
	}
	return text + ", at " + strings.Join(places, ", ")
}

// differences adds the JSON pointers at which two values differ.
func differences(x, y any, at string, out *[]string) {
	if len(*out) > maxPlaces {
		return
	}
	switch a := x.(type) {
	case map[string]any:
		if b, ok := y.(map[string]any); ok {
			keys := make(map[string]bool)
			for k := range a {
				keys[k] = true
			}
			for k := range b {
				keys[k] = true
			}
			for _, k := range sorted(keys) {
				differences(a[k], b[k], at+"/"+escape.Replace(k), out)
			}
			return
		}
	case []any:
		if b, ok := y.([]any); ok && len(a) == len(b) {
			for i := range a {
				differences(a[i], b[i], fmt.Sprintf("%s/%d", at, i), out)
			}
			return
		}
	default:
		if _, nested := y.(map[string]any); nested {
			break
		}
		if _, nested := y.([]any); nested {
			break
		}
		if x == y {
			return
		}
	}
	if at == "" {
		at = "the whole"
	}
	*out = append(*out, at)
}

var escape = strings.NewReplacer("~", "~0", "/", "~1")

func sorted(keys map[string]bool) (out []string) {
	for k := range keys {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
