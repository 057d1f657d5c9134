package router

import (
	"net/url"
	"strings"
)

// query is a request's query. Nearly none has anything encoded in it, and its fields are
// then read where they are.
type query struct {
	raw    string
	values url.Values // nil: raw is plain
}

// parseQuery reads what url.ParseQuery reads, and fails as that does.
func parseQuery(raw string) (query, error) {
	if len(raw) <= maxPlainQuery && !strings.ContainsAny(raw, "%+;") {
		return query{raw: raw}, nil
	}
	values, err := url.ParseQuery(raw)
	return query{values: values}, err
}

// maxPlainQuery is far below the length at which url.ParseQuery could count too many
// fields.
const maxPlainQuery = 8 << 10

// get is the first value of the field; "": it has none.
func (q *query) get(name string) string {
	if q.values != nil {
		return q.values.Get(name)
	}
	for field := range strings.SplitSeq(q.raw, "&") {
		if key, value, _ := strings.Cut(field, "="); key == name && field != "" {
			return value
		}
	}
	return ""
}
