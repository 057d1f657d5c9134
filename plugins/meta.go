package plugins

import (
	"net/http"
	"net/url"
	"strings"
)

// selectMeta is what a filter sees of an upgrade request: its path, host and
// origin, and the headers, query fields and cookies that the filter's
// configuration names. ok is false if that is more than the ABI carries.
func selectMeta(r *http.Request, s *settings) (out []meta, ok bool) {
	if r == nil {
		return nil, true
	}
	out = make([]meta, 0, 3+len(s.Headers)+len(s.Query)+len(s.Cookies)) // unless something is there twice
	out = append(out, meta{metaAttribute, "path", r.URL.Path}, meta{metaAttribute, "host", r.Host})
	if origin := r.Header.Get("Origin"); origin != "" {
		out = append(out, meta{metaAttribute, "origin", origin})
	}
	for _, name := range s.Headers {
		if name == "host" { // net/http takes it out of the header
			out = append(out, meta{metaHeader, name, r.Host})
			continue
		}
		for _, v := range r.Header.Values(name) {
			out = append(out, meta{metaHeader, name, v})
		}
	}
	if len(s.Query) > 0 {
		out = appendQuery(out, r.URL, s.Query)
	}
	if len(s.Cookies) > 0 && r.Header["Cookie"] != nil {
		for _, name := range s.Cookies {
			for _, c := range r.CookiesNamed(name) {
				out = append(out, meta{metaCookie, name, c.Value})
			}
		}
	}
	size := metaEntry * len(out)
	for i := range out {
		size += len(out[i].name) + len(out[i].value) + 2
	}
	return out, len(out) <= maxMetaEntries && size <= maxMetaBytes
}

// maxPlainQuery is far below the length at which url.ParseQuery could count too many
// fields.
const maxPlainQuery = 8 << 10

// appendQuery appends the named fields of the query, as url.Values would have them. Those
// of a query without anything encoded, which nearly all are, are taken from where they are.
func appendQuery(out []meta, u *url.URL, names []string) []meta {
	if len(u.RawQuery) > maxPlainQuery || strings.ContainsAny(u.RawQuery, "%+;") {
		values := u.Query()
		for _, name := range names {
			for _, v := range values[name] {
				out = append(out, meta{metaQuery, name, v})
			}
		}
		return out
	}
	for _, name := range names {
		for field := range strings.SplitSeq(u.RawQuery, "&") {
			if key, value, _ := strings.Cut(field, "="); key == name && field != "" {
				out = append(out, meta{metaQuery, name, value})
			}
		}
	}
	return out
}
