package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/router/wire"
)

// field is one field of a request: a JSON object's, or a query's. into is a *string,
// *maybeEmpty, *bool, *onlyTrue, *uint64, *time.Time, *time.Duration, *json.RawMessage,
// *[]string or *[]json.RawMessage.
type field struct {
	name     string
	into     any
	required bool
}

// maybeEmpty is a string that may be empty; every other may not.
type maybeEmpty string

// onlyTrue is a switch that is left out rather than set to false.
type onlyTrue bool

// decodeObject reads a JSON object. Unlike encoding/json it takes names as they are
// written, and refuses what is there twice, null, or half a surrogate pair: what a
// program sends by mistake is told to it.
func decodeObject(raw []byte, fields []field) *problem {
	if reason := wire.CheckJSON(raw); reason != "" {
		return badRequest("the body is %s", reason)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return badRequest("the body must be an object with %s", names(fields))
	}
	seen := make(map[string]bool, len(fields))
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return badRequest("the body cannot be read: %v", err)
		}
		name, _ := t.(string)
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return badRequest("%s cannot be read: %v", name, err)
		}
		switch {
		case i < 0:
			return badRequest("unknown field %s; known are %s", quoted(name), names(fields))
		case seen[name]:
			return badRequest("%s is there twice", name)
		}
		seen[name] = true
		if want := assign(value, fields[i].into); want != "" {
			return badRequest("%s must be %s", name, want)
		}
	}
	return missing(fields, seen)
}

// decodeQuery reads the fields from a query.
func decodeQuery(query string, fields []field) *problem {
	values, err := url.ParseQuery(query)
	if err != nil {
		return badRequest("the query cannot be read: %v", err)
	}
	seen := make(map[string]bool, len(fields))
	for name, list := range values {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		switch {
		case i < 0:
			return badRequest("unknown parameter %s; known are %s", quoted(name), names(fields))
		case len(list) > 1:
			return badRequest("%s is there twice", name)
		}
		seen[name] = true
		text := list[0]
		switch into := fields[i].into.(type) {
		case *string:
			if *into = text; text == "" {
				return badRequest("%s must be %s", name, wantString)
			}
		case *maybeEmpty:
			*into = maybeEmpty(text)
		case *uint64:
			if *into, err = strconv.ParseUint(text, 10, 64); err != nil {
				return badRequest("%s must be %s", name, wantInteger)
			}
		default:
			panic("admin: a query field of an unknown type")
		}
	}
	return missing(fields, seen)
}

func missing(fields []field, seen map[string]bool) *problem {
	for _, f := range fields {
		if f.required && !seen[f.name] {
			return badRequest("%s is missing", f.name)
		}
	}
	return nil
}

func names(fields []field) string {
	if len(fields) == 0 {
		return "no fields"
	}
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = f.name
	}
	return strings.Join(list, ", ")
}

// quoted is a name of the client's in an error.
func quoted(name string) string {
	const most = 60
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "") + "…"
	}
	return strconv.Quote(name)
}

const (
	wantString  = "a string that is not empty"
	wantInteger = "an integer, 0 or more"
)

// assign decodes a value, which is valid JSON; else it says what it must be.
func assign(raw json.RawMessage, into any) (want string) {
	switch into := into.(type) {
	case *json.RawMessage:
		*into = raw
	case *string:
		if !text(raw, into) || *into == "" {
			return wantString
		}
	case *maybeEmpty:
		if !text(raw, (*string)(into)) {
			return "a string"
		}
	case *onlyTrue:
		if *into = string(raw) == "true"; !*into {
			return "true, or be left out"
		}
	case *bool:
		if raw[0] != 't' && raw[0] != 'f' || json.Unmarshal(raw, into) != nil {
			return "true or false"
		}
	case *uint64:
		n, err := strconv.ParseUint(string(raw), 10, 64)
		if err != nil {
			return wantInteger
		}
		*into = n
	case *time.Time:
		var s string
		var err error
		if !text(raw, &s) || !rfc3339.MatchString(s) {
			return wantTime
		}
		if *into, err = time.Parse(time.RFC3339, s); err != nil || into.IsZero() {
			return wantTime
		}
	case *time.Duration:
		var s string
		var err error
		if !text(raw, &s) {
			return wantDuration
		}
		if *into, err = time.ParseDuration(s); err != nil || *into <= 0 {
			return wantDuration
		}
	case *[]string:
		return assignList(raw, into)
	case *[]json.RawMessage:
		if raw[0] != '[' || json.Unmarshal(raw, into) != nil {
			return "a list"
		}
	default:
		panic("admin: a field of an unknown type")
	}
	return ""
}

// rfc3339 refuses what time.Parse lets pass: an hour of one digit, a comma, a zone
// beyond a day.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

const (
	wantTime     = `a time as RFC 3339 writes it, such as "2030-01-31T12:00:00Z"`
	wantDuration = `a duration such as "90s", "15m" or "24h"`
	wantStrings  = "a list of strings"
)

func assignList(raw json.RawMessage, into *[]string) (want string) {
	var list []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return wantStrings
	}
	*into = make([]string, len(list))
	for i, item := range list {
		if !text(item, &(*into)[i]) {
			return wantStrings
		}
	}
	return ""
}

// text decodes a string of whole characters.
func text(raw json.RawMessage, into *string) bool {
	return raw[0] == '"' && !halfPair(raw) && json.Unmarshal(raw, into) == nil
}

// halfPair reports whether a string has an escaped half of a surrogate pair, which
// encoding/json would replace by another character.
func halfPair(raw []byte) bool {
	surrogate := func(i int, from, to uint64) bool {
		if i+6 > len(raw) || raw[i] != '\\' || raw[i+1] != 'u' {
			return false
		}
		n, err := strconv.ParseUint(string(raw[i+2:i+6]), 16, 16)
		return err == nil && from <= n && n <= to
	}
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		switch {
		case surrogate(i, 0xd800, 0xdbff):
			if !surrogate(i+6, 0xdc00, 0xdfff) {
				return true
			}
			i += 11
		case surrogate(i, 0xdc00, 0xdfff):
			return true
		default:
			i++ // what is escaped
		}
	}
	return false
}

func badRequest(format string, args ...any) *problem {
	return &problem{Code: string(wire.BadRequest), Reason: fmt.Sprintf(format, args...), status: wire.BadRequest.HTTPStatus()}
}
